"""Scale, and cut away what a fill leaves over."""

from PIL import Image

from pixmill_imaging.domain.geometry import Box, Size, placement, rescaled
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_shared.domain.recipe import Resize


def resize(image: Canvas, step: Resize, stands_for: Size) -> Canvas:
    """The size is computed from ``stands_for``, so it is the same at whatever size the source was loaded."""
    box, size = placement(stands_for, step)
    part = rescaled(box, stands_for, Size(*image.size))
    whole = (round(part.right - part.left), round(part.lower - part.upper))
    if whole == size:
        # Already at its scale: cutting keeps every pixel, resampling by half a pixel would soften them.
        return _cut(image, part, size)
    return image.resize(size, Image.Resampling.LANCZOS, box=part, reducing_gap=2.0)


def _cut(image: Canvas, part: Box, size: Size) -> Canvas:
    if image.size == size:
        return image
    left, upper = round(part.left), round(part.upper)
    return image.crop((left, upper, left + size.width, upper + size.height))
