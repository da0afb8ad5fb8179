"""How jobs are watched."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class StreamSettings(Settings):
    """Of event streams and WebSockets."""

    ping: float = Field(
        default=15,
        gt=0,
        le=300,
        validation_alias="PIXMILL_SSE_PING",
        description="seconds of silence after which a stream of events shows that it lives",
    )
    max_age: float = Field(
        default=3600,
        gt=0,
        validation_alias="PIXMILL_STREAM_MAX_AGE",
        description="seconds after which a stream of events ends; its client connects anew and goes on where it was",
    )
    url_ttl: int = Field(
        default=3600,
        ge=1,
        le=7 * 86_400,
        validation_alias="PIXMILL_STREAM_URL_TTL",
        description="seconds that a signed address of a stream of events can be opened",
    )
    max_viewers: int = Field(
        default=5_000,
        ge=1,
        le=100_000,
        validation_alias="PIXMILL_MAX_VIEWERS",
        description="streams of events that an API process serves at once; who comes then is answered 503",
    )
