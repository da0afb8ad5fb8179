"""The login of Flower, where it keeps what it has seen, and under which path it is."""

import os
import re
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder

_HINT: Final = "Set FLOWER_USER and FLOWER_PASSWORD: Flower shows task arguments and can stop workers."
_PREFIX: Final = re.compile(r"[A-Za-z0-9_~.-]+(/[A-Za-z0-9_~.-]+)*", re.ASCII)

#: Flower ends on a FLOWER_PORT like tcp://10.0.0.1:5555, which Kubernetes sets where a service is named flower.
_NOT_PASSED_ON: Final = ("FLOWER_PORT", "FLOWER_ADDRESS", "FLOWER_USER", "FLOWER_PASSWORD", "FLOWER_DB")

#: Flower's own are 100,000 tasks, which take hundreds of megabytes and seconds to save, and no saving but at its end.
_DEFAULTS: Final = {"FLOWER_MAX_TASKS": "10000", "FLOWER_STATE_SAVE_INTERVAL": "60000"}


class FlowerSettings(Settings):
    user: str = Field(default="", validate_default=True, validation_alias="FLOWER_USER", description="login of Flower")
    password: SecretStr = Field(
        default=SecretStr(""),
        validate_default=True,
        validation_alias="FLOWER_PASSWORD",
        description="password of FLOWER_USER",
    )
    state: str = Field(
        default="",
        validation_alias="FLOWER_DB",
        description="file in which Flower keeps what it has seen, over its restarts; empty: in memory",
    )
    url_prefix: str = Field(
        default="",
        validation_alias="FLOWER_URL_PREFIX",
        description="path under which a proxy has Flower: flower for https://example.com/flower; empty: at the root",
    )

    @field_validator("user", "password")
    @classmethod
    def _present(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        text = value if isinstance(value, str) else value.get_secret_value()
        refuse_placeholder(text, f"FLOWER_{info.field_name}".upper(), _HINT)
        if "," in text or "\n" in text or (info.field_name == "user" and ":" in text):
            # Flower splits its basic-auth setting on commas and each login on the first colon.
            raise ValueError("may hold no comma, and FLOWER_USER no colon.")
        return value

    @field_validator("state")
    @classmethod
    def _writable(cls, value: str) -> str:
        # Flower would run, and fail at each of its savings.
        if value and not os.access(Path(value).absolute().parent, os.W_OK | os.X_OK):
            raise ValueError("names a file in a directory that is not there, or that this user may not write to.")
        return value

    @field_validator("url_prefix")
    @classmethod
    def _path(cls, value: str) -> str:
        value = value.strip("/")
        if value and not _PREFIX.fullmatch(value):
            raise ValueError("is no path; write flower, or tools/flower.")
        return value

    @property
    def basic_auth(self) -> str:
        return f"{self.user}:{self.password.get_secret_value()}"

    def path(self, path: str) -> str:
        """Of a page, as Flower itself answers it: under the prefix."""
        return f"/{self.url_prefix}{path}" if self.url_prefix else path

    def process_environment(self) -> dict[str, str]:
        """The environment for Flower's process: this one, with the settings as Flower reads them."""
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        own = {"FLOWER_BASIC_AUTH": self.basic_auth, "FLOWER_URL_PREFIX": self.url_prefix}
        if self.state:
            own |= {"FLOWER_DB": str(Path(self.state).absolute()), "FLOWER_PERSISTENT": "true"}
        return {**_DEFAULTS, **kept, **own}
