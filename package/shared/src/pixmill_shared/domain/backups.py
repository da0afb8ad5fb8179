"""A backup in the storage: two objects, of which the second says that the first is whole."""

import builtins
import datetime
import json
import re
import uuid
from dataclasses import asdict, dataclass
from typing import Final, Self

PREFIX: Final = "backups"
_DUMP: Final = ".dump"
_MANIFEST: Final = ".json"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def dump_name(at: datetime.datetime, backup_id: uuid.UUID) -> str:
    """Of the dump. Names sort by time."""
    return f"{PREFIX}/{at.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}-{backup_id}{_DUMP}"


def manifest_name(key: str) -> str:
    """Of the object that is written after the dump ``key``."""
    return key.removesuffix(_DUMP) + _MANIFEST


def is_manifest(name: str) -> bool:
    return name.startswith(f"{PREFIX}/") and name.endswith(_MANIFEST)


class NoManifest(ValueError):
    """The bytes are none of ours, or not whole."""


@dataclass(frozen=True)
class Manifest:
    """What a backup needs to be restored where its database is gone. ``postgres`` is the server's major version,
    ``revision`` that of the schema, ``sha256`` of the dump in hex."""

    id: uuid.UUID
    key: str
    bytes: int
    sha256: str
    postgres: int
    revision: str
    started_at: datetime.datetime
    finished_at: datetime.datetime

    def document(self) -> "builtins.bytes":
        return json.dumps(asdict(self), default=str, indent=2).encode()

    @classmethod
    def parse(cls, document: "builtins.bytes") -> Self:
        """Raises NoManifest."""
        try:
            found = json.loads(document)
            read = cls(
                id=uuid.UUID(found["id"]),
                key=str(found["key"]),
                bytes=int(found["bytes"]),
                sha256=str(found["sha256"]),
                postgres=int(found["postgres"]),
                revision=str(found["revision"]),
                started_at=datetime.datetime.fromisoformat(found["started_at"]),
                finished_at=datetime.datetime.fromisoformat(found["finished_at"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise NoManifest("it cannot be read") from error
        if not _SHA256.fullmatch(read.sha256) or not read.key.startswith(f"{PREFIX}/"):
            raise NoManifest("it names no dump, or no checksum")
        return read
