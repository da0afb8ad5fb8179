"""What a process renders with."""

from dataclasses import dataclass, field

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.loader import Loader
from pixmill_imaging.domain.rendition import engine_name
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.picture import Picture


@dataclass(frozen=True)
class Engine:
    """What decodes and draws, and within which limits. ``name`` is part of a rendition's address."""

    loader: Loader[Picture]
    limits: PixelLimits
    fonts: FontBook = field(default_factory=FontBook)

    @property
    def name(self) -> str:
        return engine_name(self.loader.name)
