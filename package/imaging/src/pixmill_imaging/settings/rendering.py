"""What decodes and draws, and within what limits."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field, field_validator

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
    max_memory: int = Field(
        default=1_048_576,
        ge=262_144,
        validation_alias="PIXMILL_IMAGING_MAX_MEMORY",
        description="KiB that a render process may have used at its peak; after that job it is replaced by a fresh one",
    )
    memory_limit: int = Field(
        default=4_194_304,
        validation_alias="PIXMILL_IMAGING_MEMORY_LIMIT",
        description="KiB of address space of a render process, at least 1048576; a job that needs more fails; 0: none",
    )

    @field_validator("memory_limit")
    @classmethod
    def _leaves_room_for_the_process(cls, limit: int) -> int:
        if limit and limit < 1_048_576:
            raise ValueError("must be 0, or at least 1048576 (1 GiB)")
        return limit

    font_dirs: str = Field(
        default="/usr/share/fonts,/usr/local/share/fonts",
        validation_alias="PIXMILL_FONT_DIRS",
        description="Directories, comma separated, whose fonts watermarks may name, and fall back on",
    )

    def font_directories(self) -> tuple[Path, ...]:
        """Those that are there."""
        paths = (Path(name.strip()) for name in self.font_dirs.split(",") if name.strip())
        return tuple(path for path in paths if path.is_dir())
