"""Unsharp mask: add the difference to a slightly blurred copy."""

from typing import Final

from PIL import ImageFilter

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas, on_colour
from pixmill_shared.domain.recipe import Sharpen

#: Pixels; small, because what blurs a picture is mostly its own downscale.
_RADIUS: Final = 1.0


def sharpen(image: Canvas, step: Sharpen, _stands_for: Size) -> Canvas:
    mask = ImageFilter.UnsharpMask(radius=_RADIUS, percent=round(step.amount * 100), threshold=0)
    return on_colour(image, lambda colour: colour.filter(mask))
