"""Batches."""

from typing import Final

from pydantic import Field

from pixmill_shared.settings.base import Settings

MOST_ITEMS: Final = 1_000


class BatchSettings(Settings):
    """A batch is made by one transaction, so both bound how long that takes."""

    max_items: int = Field(
        default=MOST_ITEMS,
        ge=1,
        le=MOST_ITEMS,
        validation_alias="PIXMILL_MAX_BATCH_ITEMS",
        description="items that a batch may have",
    )
    max_body_bytes: int = Field(
        default=5_000_000,
        ge=1_000,
        le=100_000_000,
        validation_alias="PIXMILL_MAX_BATCH_BYTES",
        description="bytes that the JSON body of a batch may have",
    )
