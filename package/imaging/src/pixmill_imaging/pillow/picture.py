"""What a loader hands over and an encoder takes: a still, or the frames of an animation."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.loader import Step, no_step
from pixmill_imaging.pillow.canvas import Canvas


@dataclass(frozen=True)
class Picture:
    """Frames of one size and mode, each complete in itself: disposal and blending are done with.

    ``durations`` in milliseconds, one a frame; ``loop`` is how often it plays, 0 for ever. A still has one frame.
    Whoever works on it calls ``step`` before each frame: what that raises ends the work.
    """

    frames: tuple[Canvas, ...]
    durations: tuple[int, ...] = (0,)
    loop: int = 0
    step: Step = field(default=no_step, compare=False, repr=False)

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
        return self if len(self.frames) == 1 else Picture((self.frames[0],), step=self.step)

    def each(self, change: Callable[[Canvas], Canvas]) -> "Picture":
        """The same change to every frame."""

        def changed(frame: Canvas) -> Canvas:
            self.step()
            return change(frame)

        return replace(self, frames=tuple(map(changed, self.frames)))
