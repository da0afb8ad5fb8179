"""Pages of which origins may call the API from a browser."""

import re
from typing import Final

from pydantic import Field, field_validator

from pixmill_shared.settings.base import Settings

ANY: Final = "*"
_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)(:[0-9]{1,5})?")


class CorsSettings(Settings):
    """None by default: pages of other origins cannot read answers."""

    cors_origins: str = Field(
        default="",
        validation_alias="PIXMILL_CORS_ORIGINS",
        description="origins whose pages may call the API from a browser, like https://app.example.com, with commas "
        "between them; *: all, without cookies",
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        origins = _split(value)
        wrong = [origin for origin in origins if origin != ANY and not _ORIGIN.fullmatch(origin)]
        if wrong:
            raise ValueError(
                f"{wrong[0]} is no origin as browsers send it: a scheme, a host in small letters and perhaps a port, "
                "like https://app.example.com"
            )
        if ANY in origins and len(origins) > 1:
            raise ValueError("* is all origins: name it alone")
        return value

    @property
    def origins(self) -> tuple[str, ...]:
        """``("*",)`` for all; empty for none."""
        return _split(self.cors_origins)


def _split(value: str) -> tuple[str, ...]:
    return tuple(origin.strip() for origin in value.split(",") if origin.strip())
