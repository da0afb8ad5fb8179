"""Stretch the contrast of what is to be seen; decided on the first frame, the same for all."""

from dataclasses import dataclass

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.samples import on_samples
from pixmill_shared.domain.recipe import Autocontrast


@dataclass(frozen=True)
class Levels:
    """Samples from 0 to 255: up to ``black`` they become 0, from ``white`` on 255, evenly in between."""

    black: int
    white: int


def levels_of(image: Canvas, step: Autocontrast, _stands_for: Size) -> Levels:
    """By luma. What cannot be seen through alpha does not count."""
    seen = image.getchannel("A").point(lambda alpha: 255 if alpha else 0) if image.mode == "RGBA" else None
    counts = image.convert("L").histogram(seen)
    may_be_lost = sum(counts) * step.cutoff / 100
    return Levels(_end(counts, may_be_lost), 255 - _end(counts[::-1], may_be_lost))


def stretch(image: Canvas, step: Levels, _stands_for: Size) -> Canvas:
    if step.white <= step.black:
        # One tone has no contrast to stretch.
        return image
    factor = 255 / (step.white - step.black)
    return on_samples(image, lambda value: (value - step.black) * factor)


def _end(counts: list[int], may_be_lost: float) -> int:
    """The first tone at which more pixels than may be lost have been counted."""
    total = 0
    for tone, count in enumerate(counts):
        total += count
        if total > may_be_lost:
            return tone
    return len(counts) - 1
