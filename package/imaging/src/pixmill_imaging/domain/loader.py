"""The loader seam: who turns bytes into pixels. Decode and the first downscale are most of the CPU of a job.

There are two implementations, ``vips`` and ``pillow``, behind one protocol; operations and encoders exist
once and work on what a loader hands over. What pixels are is the business of those who handle them, hence the
type variable.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.sniff import SourceFormat

Pixels_co = TypeVar("Pixels_co", covariant=True)

#: Called again and again during long work, between two of its steps; what it raises ends the work.
Step = Callable[[], None]


def no_step() -> None:
    """Of work that nothing ends."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded; ``size`` is after autorotation.

    ``frames`` is at least 1, and may be a lie: it is what limits are asked about, and no more are ever decoded.
    """

    format: SourceFormat
    size: Size
    frames: int = 1


class OpenedSource(Protocol[Pixels_co]):
    """A source whose header has been read. Good for one call of ``pixels``."""

    @property
    def header(self) -> Header: ...

    def pixels(self, target: Size, frames: int = 1, step: Step = no_step) -> Pixels_co:
        """Decode the first frames: upright, sRGB, 8 bits a channel, without metadata, at exactly ``target``.

        ``frames`` is 1 or ``header.frames``; each frame comes complete, whatever part of it is stored. ``target`` is
        nowhere larger than ``header.size``. Modes are L, RGB and RGBA. Whatever the decoder makes of damaged bytes is
        raised as PermanentError ``undecodable``. ``step`` is called before each frame.
        """
        ...


class Loader(Protocol[Pixels_co]):
    """``name`` is part of a rendition's key: two loaders do not make the same bytes."""

    @property
    def name(self) -> str: ...

    def open(self, data: bytes, source_format: SourceFormat) -> OpenedSource[Pixels_co]:
        """Read the header only; PermanentError ``undecodable`` if there is none to be read."""
        ...
