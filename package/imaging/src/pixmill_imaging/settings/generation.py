"""Who draws the pictures of generate jobs, and how much of it there may be."""

import math
import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from pixmill_shared.settings.base import Settings, refuse_placeholder

_MICRO: Final = 1_000_000
_KEY_HINT = "Set it to a key of https://aistudio.google.com/apikey, or leave it empty for placeholders."


class GenerationSettings(Settings):
    """Without a key, or with ``use_real`` false, every picture is a placeholder."""

    gemini_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="GEMINI_API_KEY",
        description="key for the Gemini API; empty: generated pictures are placeholders",
    )
    gemini_model: str = Field(
        default="gemini-nano-banana-2.1",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        validation_alias="GEMINI_MODEL",
        description="Gemini model that draws; GEMINI_PICTURE_PRICE belongs to it",
    )
    gemini_url: str = Field(
        default="https://generativelanguage.googleapis.com",
        validation_alias="GEMINI_BASE_URL",
        description="where the Gemini API is; a private address must be in PIXMILL_EGRESS_ALLOW too",
    )
    gemini_price: float = Field(
        default=0.0336,
        ge=0,
        le=1_000,
        allow_inf_nan=False,
        validation_alias="GEMINI_PICTURE_PRICE",
        description="US dollars that a picture costs, for the cost of jobs and PIXMILL_GENERATION_BUDGET",
    )
    gemini_aspect_ratio: str = Field(
        default="1:1",
        pattern=r"^[1-9][0-9]?:[1-9][0-9]?$",
        validation_alias="GEMINI_ASPECT_RATIO",
        description="width to height of a picture, as the model offers it, like 1:1, 4:3 or 16:9",
    )
    use_real: bool = Field(
        default=True,
        validation_alias="USE_REAL_IMAGE_GENERATION",
        description="false: every generated picture is a placeholder, whether there is a key or not",
    )
    timeout: float = Field(
        default=120,
        gt=0,
        le=600,
        validation_alias="PIXMILL_GENERATION_TIMEOUT",
        description="seconds for one whole request to the image provider, from name resolution to the last byte",
    )
    max_bytes: int = Field(
        default=30_000_000,
        ge=10_000,
        le=200_000_000,
        validation_alias="PIXMILL_GENERATION_MAX_BYTES",
        description="bytes that an answer of the image provider may have; a picture takes 4/3 of its own",
    )
    budget_dollars: float = Field(
        default=0,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        validation_alias="PIXMILL_GENERATION_BUDGET",
        description="US dollars that the pictures of one job may cost; 0: no bound",
    )

    @field_validator("gemini_key")
    @classmethod
    def _sendable(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value().strip()
        if key:
            refuse_placeholder(key, "GEMINI_API_KEY", _KEY_HINT)
        # The message may not show the value.
        if not re.fullmatch("[!-~]*", key):
            raise ValueError(f"has characters that no key has. {_KEY_HINT}")
        return SecretStr(key)

    @field_validator("gemini_url")
    @classmethod
    def _base(cls, value: str) -> str:
        if not _is_base(value):
            raise ValueError("must be like https://generativelanguage.googleapis.com, without a query or a login")
        return value.rstrip("/")

    @property
    def price(self) -> int:
        """Of a picture, in millionths of a US dollar."""
        return round(self.gemini_price * _MICRO)

    @property
    def budget(self) -> int | None:
        """Of a job, in millionths of a US dollar; None: no bound."""
        return math.ceil(self.budget_dollars * _MICRO) or None


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = bool(re.fullmatch("[!-~]+", url)) and not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and has_host and plain
