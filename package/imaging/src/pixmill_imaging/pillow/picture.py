"""What a loader hands over and an encoder takes: a still, or the frames of an animation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas


@dataclass(frozen=True)
class Picture:
    """Frames of one size and mode, each complete in itself: disposal and blending are done with.

    ``durations`` in milliseconds, one a frame; ``loop`` is how often it plays, 0 for ever. A still has one frame.
    """

    frames: tuple[Canvas, ...]
    durations: tuple[int, ...] = (0,)
    loop: int = 0

    @classmethod
    def still(cls, canvas: Canvas) -> Self:
        return cls((canvas,))

    @property
    def size(self) -> Size:
        return Size(*self.frames[0].size)

    @property
    def is_animated(self) -> bool:
        return len(self.frames) > 1

    def first(self) -> "Picture":
        """The first frame as a still."""
        return self if len(self.frames) == 1 else Picture.still(self.frames[0])

    def each(self, change: Callable[[Canvas], Canvas]) -> "Picture":
        """The same change to every frame."""
        return Picture(tuple(change(frame) for frame in self.frames), self.durations, self.loop)
