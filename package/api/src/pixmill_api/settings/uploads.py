"""Uploads that come in parts, or past the API."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class UploadSettings(Settings):
    """How many bytes an upload may have is PIXMILL_MAX_SOURCE_BYTES."""

    session_ttl: int = Field(
        default=86_400,
        ge=1,
        le=604_800,
        validation_alias="PIXMILL_UPLOAD_SESSION_TTL",
        description="seconds in which a resumable or presigned upload must be complete",
    )
    max_sessions: int = Field(
        default=1_000,
        ge=1,
        validation_alias="PIXMILL_MAX_UPLOAD_SESSIONS",
        description="unfinished resumable and presigned uploads that a project may have",
    )
    part_bytes: int = Field(
        default=8_388_608,
        ge=65_536,
        le=67_108_864,
        validation_alias="PIXMILL_TUS_PART_BYTES",
        description="bytes of a resumable upload that are stored at once; each request in flight holds so many",
    )
    idle_timeout: float = Field(
        default=30,
        gt=0,
        validation_alias="PIXMILL_UPLOAD_IDLE_TIMEOUT",
        description="seconds after which an upload that sends no more bytes is answered 408",
    )
