"""Away from middle grey, or towards it."""

from typing import Final

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.samples import on_samples
from pixmill_shared.domain.recipe import Contrast

#: Fixed, not the mean of the picture: so the frames of an animation do not flicker.
_MIDDLE: Final = 127.5


def contrast(image: Canvas, step: Contrast, _stands_for: Size) -> Canvas:
    return on_samples(image, lambda value: _MIDDLE + step.amount * (value - _MIDDLE))
