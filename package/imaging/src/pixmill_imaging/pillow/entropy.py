"""The interesting part of a picture, by entropy: where there are many tones, there is something to be seen."""

import math
from typing import Final

from PIL import Image

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_shared.domain.recipe import Focus

#: How many slices away the parts are from the whole.
_STEPS: Final = 8


def entropy(image: Canvas, part: Size) -> Focus:
    """The middle of the part that is left when the duller of two opposite edges is cut away again and again."""
    grey = image.convert("L")
    left, right = _narrowed(grey, part.width)
    # The picture on its side, so that there is one way to narrow.
    strip = grey.crop((left, 0, right, grey.height)).transpose(Image.Transpose.ROTATE_90)
    upper, lower = _narrowed(strip, part.height)
    return Focus((left + right) / 2 / image.width, (upper + lower) / 2 / image.height)


def _narrowed(grey: Canvas, width: int) -> tuple[int, int]:
    left, right = 0, grey.width
    slice_width = max(1, math.ceil((right - width) / _STEPS))
    while right - left > width:
        cut = min(slice_width, right - left - width)
        first = grey.crop((left, 0, left + cut, grey.height)).entropy()
        last = grey.crop((right - cut, 0, right, grey.height)).entropy()
        # Equally dull edges go in turns, which keeps the middle.
        if first < last or (first == last and left <= grey.width - right):
            left += cut
        else:
            right -= cut
    return left, right
