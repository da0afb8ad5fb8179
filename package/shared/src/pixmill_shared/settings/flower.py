"""The login of Flower."""

import os
from typing import Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder

_HINT = "Set FLOWER_USER and FLOWER_PASSWORD: Flower shows task arguments and can stop workers."

#: Flower ends on a FLOWER_PORT like tcp://10.0.0.1:5555, which Kubernetes sets where a service is named flower.
_NOT_PASSED_ON: Final = ("FLOWER_PORT", "FLOWER_ADDRESS", "FLOWER_USER", "FLOWER_PASSWORD")


class FlowerSettings(Settings):
    user: str = Field(default="", validate_default=True, validation_alias="FLOWER_USER", description="login of Flower")
    password: SecretStr = Field(
        default=SecretStr(""),
        validate_default=True,
        validation_alias="FLOWER_PASSWORD",
        description="password of FLOWER_USER",
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

    @property
    def basic_auth(self) -> str:
        return f"{self.user}:{self.password.get_secret_value()}"

    def process_environment(self) -> dict[str, str]:
        """The environment for Flower's process: this one, with the login as Flower reads it."""
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        return {**kept, "FLOWER_BASIC_AUTH": self.basic_auth}
