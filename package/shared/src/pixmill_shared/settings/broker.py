"""Where the broker is, and the time zone of the schedule."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder


class BrokerSettings(Settings):
    """Importing the Celery app needs no variable, so these have defaults that a process checks when it starts."""

    redis_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"),
        validation_alias="REDIS_URL",
        description="redis://[:password@]host:port/db; default of broker and results; limits and live progress",
    )
    broker: SecretStr = Field(
        default=SecretStr(""), validation_alias="CELERY_BROKER_URL", description="URL of the broker, if not REDIS_URL"
    )
    results: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="CELERY_RESULT_BACKEND",
        description="URL of the results, if not REDIS_URL",
    )
    timezone: str = Field(
        default="UTC", validation_alias="CELERY_TIMEZONE", description="IANA zone of daily schedule entries"
    )

    @field_validator("redis_url", "broker", "results")
    @classmethod
    def _no_placeholder(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            refuse_placeholder(value.get_secret_value(), "REDIS_URL", "Set the password of your Redis in it.")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no IANA time zone. Write for example Europe/Berlin.") from None
        return value

    @property
    def broker_url(self) -> str:
        return self.broker.get_secret_value() or self.redis_url.get_secret_value()

    @property
    def result_backend(self) -> str:
        return self.results.get_secret_value() or self.redis_url.get_secret_value()
