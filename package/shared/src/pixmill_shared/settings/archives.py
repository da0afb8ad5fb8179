"""Archives that are built once and kept for a while."""

from datetime import timedelta

from pydantic import Field

from pixmill_shared.settings.base import Settings


class ArchiveSettings(Settings):
    """Read by the API, which says when an archive goes, and by the process that deletes it then."""

    ttl: int = Field(
        default=86_400,
        ge=60,
        le=31_536_000,
        validation_alias="PIXMILL_ARCHIVE_TTL",
        description="seconds that an archive of a batch is kept",
    )

    @property
    def kept(self) -> timedelta:
        return timedelta(seconds=self.ttl)
