"""What a process listens on, and under which address the world sees pixmill."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class ListenSettings(Settings):
    """Of the API, and of every other process' health port."""

    bind: str = Field(
        default="127.0.0.1", validation_alias="PIXMILL_BIND", description="address to listen on; images set 0.0.0.0"
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        validation_alias="PIXMILL_PORT",
        description="this process' API or health port; images set one each, `pixmill up` counts on from it",
    )


class PublicSettings(Settings):
    """Base of the URLs in answers and webhooks."""

    public_url: str = Field(
        default="http://127.0.0.1:8000",
        validation_alias="PIXMILL_PUBLIC_URL",
        description="scheme and host under which clients reach the API",
        pattern=r"^https?://[^\s]+$",
    )

    @property
    def base(self) -> str:
        return self.public_url.rstrip("/")


class LogSettings(Settings):
    """Lines for people in development, JSON elsewhere."""

    level: str = Field(
        default="info",
        validation_alias="PIXMILL_LOG_LEVEL",
        description="debug, info, warning or error",
        pattern=r"^(debug|info|warning|error)$",
    )
