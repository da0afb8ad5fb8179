"""The Redis that holds what may be lost: limits of keys, and live progress on its way to those who watch."""

from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder
from pixmill_shared.settings.broker import BrokerSettings

_SCHEMES: Final = ("redis", "rediss", "unix")


class RedisSettings(Settings):
    """Not needed where the broker is a Redis. ``url`` is what processes connect to."""

    own: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="PIXMILL_REDIS_URL",
        description="redis:// or rediss:// URL for rate limits and live progress; default: the broker's, or REDIS_URL "
        "where the broker is no Redis",
    )

    @field_validator("own")
    @classmethod
    def _a_redis(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            return value
        if not _is_redis(value.get_secret_value()):
            raise ValueError("must begin with redis:// or rediss://.")
        refuse_placeholder(value.get_secret_value(), "PIXMILL_REDIS_URL", "Set the password of your Redis in it.")
        return value

    @property
    def url(self) -> str:
        """Raises ConfigurationError if it is the broker's and that is wrong."""
        if own := self.own.get_secret_value():
            return own
        broker = BrokerSettings.load()
        return broker.broker_url if _is_redis(broker.broker_url) else broker.redis_url.get_secret_value()


def _is_redis(url: str) -> bool:
    return urlsplit(url).scheme in _SCHEMES
