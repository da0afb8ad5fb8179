"""The login of Flower."""

from pydantic import Field, SecretStr, model_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder

_HINT = "Set FLOWER_USER and FLOWER_PASSWORD: Flower shows task arguments and can stop workers."


class FlowerSettings(Settings):
    user: str = Field(default="", validation_alias="FLOWER_USER", description="login of Flower")
    password: SecretStr = Field(default=SecretStr(""), validation_alias="FLOWER_PASSWORD", description="its password")

    @model_validator(mode="after")
    def _present(self) -> "FlowerSettings":
        refuse_placeholder(self.user, "FLOWER_USER", _HINT)
        refuse_placeholder(self.password.get_secret_value(), "FLOWER_PASSWORD", _HINT)
        if any(mark in self.basic_auth for mark in ",\n") or ":" in self.user:
            # Flower splits its basic-auth setting on commas and each login on the first colon.
            raise ValueError("FLOWER_USER and FLOWER_PASSWORD may hold no comma, and the user no colon.")
        return self

    @property
    def basic_auth(self) -> str:
        return f"{self.user}:{self.password.get_secret_value()}"
