"""Generated pictures: whether they are offered, and how many one job may have."""

from pydantic import Field

from pixmill_shared.domain.generation import MOST_ITEMS
from pixmill_shared.settings.base import Settings


class GenerationLimitSettings(Settings):
    """A job that generates is made by one transaction, and shown in one answer."""

    enabled: bool = Field(
        default=True,
        validation_alias="IMAGE_GENERATION_ENABLED",
        description="false: no job that generates pictures is taken; those that are there go on",
    )
    max_items: int = Field(
        default=MOST_ITEMS,
        ge=1,
        le=MOST_ITEMS,
        validation_alias="PIXMILL_MAX_GENERATION_ITEMS",
        description="pictures that one job may be asked for",
    )
