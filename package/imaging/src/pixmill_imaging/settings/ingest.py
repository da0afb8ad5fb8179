"""What looks at the sources of pipelines."""

from pydantic import Field

from pixmill_shared.settings.base import Settings


class IngestSettings(Settings):
    """How much one look may bring."""

    max_bytes: int = Field(
        default=5_000_000,
        ge=1_000,
        le=100_000_000,
        validation_alias="PIXMILL_PIPELINE_MAX_BYTES",
        description="bytes that the feed or list of a pipeline may have",
    )
    max_items: int = Field(
        default=10_000,
        ge=1,
        validation_alias="PIXMILL_PIPELINE_MAX_ITEMS",
        description="jobs that one run of a pipeline makes at most; the next run goes on",
    )
