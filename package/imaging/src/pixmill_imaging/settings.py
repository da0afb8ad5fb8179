"""What the imaging service reads from its environment."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from pixmill_imaging.domain.animation import MOST_COUNTED
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
    max_frames: int = Field(
        default=500,
        ge=1,
        lt=MOST_COUNTED,
        validation_alias="PIXMILL_MAX_FRAMES",
        description="Most frames of an animation, judged by its structure before decoding",
    )
    max_animation_pixels: int = Field(
        default=100_000_000,
        ge=1,
        validation_alias="PIXMILL_MAX_ANIMATION_PIXELS",
        description="Largest animation, in pixels over all frames, of a source and of an output",
    )
    font_dirs: str = Field(
        default="/usr/share/fonts,/usr/local/share/fonts",
        validation_alias="PIXMILL_FONT_DIRS",
        description="Directories, comma separated, whose fonts watermarks may name, and fall back on",
    )

    def font_directories(self) -> tuple[Path, ...]:
        """Those that are there."""
        paths = (Path(name.strip()) for name in self.font_dirs.split(",") if name.strip())
        return tuple(path for path in paths if path.is_dir())
