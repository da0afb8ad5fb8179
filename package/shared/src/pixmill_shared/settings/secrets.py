"""Keys that sign and encrypt."""

from pydantic import Field, SecretStr, field_validator

from pixmill_shared.domain.webhook_secrets import is_secret
from pixmill_shared.settings.base import Settings, refuse_placeholder

_KEY_HINT = "Set it to the output of: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
_WEBHOOK_HINT = (
    "Set it to the output of: "
    "python3 -c 'import base64, secrets; print(\"whsec_\" + base64.b64encode(secrets.token_bytes(24)).decode())'"
)


class SecretSettings(Settings):
    """``previous`` still verifies and decrypts, so that a key can be exchanged without breaking URLs in use."""

    secret_key: SecretStr = Field(
        default=SecretStr(""),
        validate_default=True,
        validation_alias="PIXMILL_SECRET_KEY",
        description="signs URLs, encrypts stored secrets; 32 or more random characters",
    )
    previous: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="PIXMILL_SECRET_KEY_PREVIOUS",
        description="the key before, while URLs signed with it are in use",
    )

    @field_validator("secret_key")
    @classmethod
    def _strong(cls, value: SecretStr) -> SecretStr:
        refuse_placeholder(value.get_secret_value(), "PIXMILL_SECRET_KEY", _KEY_HINT)
        if len(value.get_secret_value()) < 16:
            raise ValueError(f"is shorter than 16 characters. {_KEY_HINT}")
        return value

    @property
    def keys(self) -> tuple[str, ...]:
        """The current key first."""
        return tuple(k for k in (self.secret_key.get_secret_value(), self.previous.get_secret_value()) if k)


class WebhookSecretSettings(Settings):
    """Signs the webhooks of jobs that were sent without an API key."""

    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        validate_default=True,
        validation_alias="PIXMILL_WEBHOOK_SECRET",
        description="whsec_ and 24 to 64 random bytes in base64; signs webhooks of jobs without an API key",
    )

    @field_validator("webhook_secret")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        text = refuse_placeholder(value.get_secret_value(), "PIXMILL_WEBHOOK_SECRET", _WEBHOOK_HINT)
        if not is_secret(text):
            raise ValueError(f"is not whsec_ followed by 24 to 64 bytes in base64. {_WEBHOOK_HINT}")
        return value


class RotationSettings(Settings):
    """Receivers take their time to learn of a new secret."""

    grace: int = Field(
        default=86_400,
        ge=0,
        le=30 * 86_400,
        validation_alias="PIXMILL_WEBHOOK_ROTATION_GRACE",
        description="seconds that the former secret of an endpoint or an API key signs too after a rotation",
    )
