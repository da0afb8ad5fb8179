"""Passwords and keys of a stack: made once, kept in its data directory, readable by its owner only."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from pixmill.errors import DataDirError

FILE_NAME = "secrets.json"


@dataclass(frozen=True, repr=False)
class Credentials:
    """All are plain text without characters that a URL, a shell or Flower's comma list would take apart."""

    postgres_superuser: str
    postgres_migrate: str
    postgres_app: str
    redis: str
    secret_key: str
    webhook_secret: str
    flower_password: str

    @classmethod
    def generate(cls) -> Self:
        """Fresh random ones of 128 bits and more."""
        return cls(
            postgres_superuser=secrets.token_hex(24),
            postgres_migrate=secrets.token_hex(24),
            postgres_app=secrets.token_hex(24),
            redis=secrets.token_hex(24),
            secret_key=secrets.token_hex(32),
            webhook_secret="whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
            flower_password=secrets.token_hex(10),
        )

    @classmethod
    def load_or_create(cls, directory: Path) -> Self:
        """Read ``secrets.json`` of the data directory, or make it.

        Raises DataDirError when the file is damaged: new passwords would not open the database that is there.
        """
        path = directory / FILE_NAME
        try:
            values = json.loads(path.read_text())
            return cls(**{field.name: str(values[field.name]) for field in fields(cls)})
        except FileNotFoundError:
            created = cls.generate()
            write_private(path, json.dumps(asdict(created), indent=2))
            return created
        except (ValueError, KeyError, TypeError):
            raise DataDirError(
                f"{path} is damaged: bring it back from a copy, or start with an empty --data-dir."
            ) from None


def write_private(path: Path, content: str) -> None:
    """Write a file of mode 0600 so that a reader sees all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
