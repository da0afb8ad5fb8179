"""How often an API key may ask, and how long this process remembers a key."""

from typing import Literal

from pydantic import Field

from pixmill_shared.settings.base import Settings


class LimitSettings(Settings):
    """A key may have a rate of its own, which counts instead."""

    rate: int = Field(
        default=6_000,
        ge=0,
        le=10_000_000,
        validation_alias="PIXMILL_RATE_LIMIT",
        description="requests a minute that an API key may send; 0: no limit",
    )
    burst: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        validation_alias="PIXMILL_RATE_BURST",
        description="requests that an API key may send at once after a pause; 0: those of ten seconds, 10 at least",
    )
    patience: float = Field(
        default=0.05,
        gt=0,
        le=10,
        validation_alias="PIXMILL_RATE_LIMIT_PATIENCE",
        description="seconds that a request waits for Redis, which is then left alone for a second",
    )
    when_down: Literal["open", "closed"] = Field(
        default="open",
        validation_alias="PIXMILL_RATE_LIMIT_WHEN_DOWN",
        description="open: without Redis nothing is limited; closed: requests are answered 503 then",
    )
    key_cache_ttl: float = Field(
        default=5,
        ge=0,
        le=300,
        validation_alias="PIXMILL_KEY_CACHE_TTL",
        description="seconds that an API process trusts a key without asking the database: so long may a revoked one "
        "still work; 0: it asks each time",
    )
