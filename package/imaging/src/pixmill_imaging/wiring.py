"""The engine of this process, built at its first job: in a prefork child, never in the parent."""

from dataclasses import dataclass, field
from functools import cache

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.loader import Loader
from pixmill_imaging.domain.rendition import engine_name
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.settings import ImagingSettings


@dataclass(frozen=True)
class Engine:
    """What decodes and draws, and within which limits. ``name`` is part of a rendition's address."""

    loader: Loader[Picture]
    limits: PixelLimits
    fonts: FontBook = field(default_factory=FontBook)

    @property
    def name(self) -> str:
        return engine_name(self.loader.name)


@cache
def engine() -> Engine:
    """Raises ConfigurationError if the chosen loader is not installed."""
    settings = ImagingSettings.load()
    limits = PixelLimits(
        settings.max_source_pixels, settings.max_output_pixels, settings.max_frames, settings.max_animation_pixels
    )
    return Engine(choose_loader(settings.loader), limits, FontBook(settings.font_directories()))
