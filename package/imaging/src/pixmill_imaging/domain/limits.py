"""How much one job may cost, decided from headers before anything is decoded."""

from dataclasses import dataclass

from pixmill_imaging.domain.animation import MOST_COUNTED
from pixmill_imaging.domain.geometry import Size
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError


@dataclass(frozen=True)
class PixelLimits:
    """``source`` and ``output`` in pixels (width times height): of a source, and of any picture made on the way to an
    output. ``frames`` is a count; ``animation`` in pixels over all frames, of a source and of an output alike.
    """

    source: int = 100_000_000
    output: int = 100_000_000
    frames: int = 500
    animation: int = 100_000_000

    def check_source(self, size: Size) -> None:
        if size.pixels > self.source:
            raise PermanentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"The source has {size.width}x{size.height} = {size.pixels} pixels; the limit is {self.source}.",
            )

    def check_animation(self, size: Size, frames: int) -> None:
        """``frames`` are those that would be decoded; one is no animation."""
        if frames > self.frames:
            least = "at least " if frames >= MOST_COUNTED else ""
            raise PermanentError(
                ErrorCode.TOO_MANY_FRAMES,
                f"The animation has {least}{frames} frames; the limit is {self.frames}. Its first frame can be had "
                "with animated: false, or as JPEG.",
            )
        if frames > 1 and frames * size.pixels > self.animation:
            raise PermanentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"The animation has {frames} frames of {size.width}x{size.height}, {frames * size.pixels} pixels in "
                f"all; the limit is {self.animation}.",
            )

    def check_output(self, name: str, size: Size, frames: int = 1) -> None:
        if size.pixels > self.output:
            raise PermanentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"Output {name} would have {size.width}x{size.height} = {size.pixels} pixels; "
                f"the limit is {self.output}.",
            )
        if frames > 1 and frames * size.pixels > self.animation:
            raise PermanentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"Output {name} would have {frames} frames of {size.width}x{size.height}, {frames * size.pixels} "
                f"pixels in all; the limit is {self.animation}.",
            )
