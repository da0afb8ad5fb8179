"""What the imaging service reads from its environment."""

from enum import StrEnum

from pydantic import Field

from pixmill_shared.settings.base import Settings


class LoaderChoice(StrEnum):
    AUTO = "auto"
    VIPS = "vips"
    PILLOW = "pillow"


class ImagingSettings(Settings):
    loader: LoaderChoice = Field(
        default=LoaderChoice.AUTO,
        validation_alias="PIXMILL_IMAGING_LOADER",
        description="What decodes sources: vips, pillow, or auto, which is vips where it is installed",
    )
    max_source_pixels: int = Field(
        default=100_000_000,
        ge=1,
        validation_alias="PIXMILL_MAX_SOURCE_PIXELS",
        description="Largest source, in pixels (width times height), judged by its header before decoding",
    )
    max_output_pixels: int = Field(
        default=100_000_000,
        ge=1,
        validation_alias="PIXMILL_MAX_OUTPUT_PIXELS",
        description="Largest picture that a step of a recipe may make, in pixels (width times height)",
    )
