"""How a job that generates pictures is cut into chunks. Read where one is made."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class ChunkSettings(Settings):
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
