"""How a job that generates pictures is cut into chunks, and how fast providers may be asked."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class ChunkSettings(Settings):
    """Read where a job is made."""

    size: int = Field(
        default=3,
        ge=1,
        le=100,
        validation_alias="IMAGE_PROCESSING_CHUNK_SIZE",
        description="different pictures that are one chunk of a job that generates",
    )
    at_once: int = Field(
        default=3,
        ge=1,
        le=1000,
        validation_alias="IMAGE_CONCURRENT_CHUNK_LIMIT",
        description="chunks of one job that may be worked on at once",
    )


class PaceSettings(Settings):
    """Read where providers are asked, and where the time that is left is told."""

    rpm: int = Field(
        default=60,
        ge=0,
        le=1_000_000,
        validation_alias="PIXMILL_GENERATION_RPM",
        description="requests a minute to the image provider, all workers together; 0: no limit",
    )

    @property
    def pause(self) -> float:
        """Seconds from one request to the next."""
        return 60 / self.rpm if self.rpm else 0.0
