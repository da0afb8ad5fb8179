"""How a picture gets another size: one way to ask for it, and Pillow's answer."""

from collections.abc import Callable

from PIL import Image

from pixmill_imaging.domain.geometry import Box, Size
from pixmill_imaging.pillow.canvas import Canvas

#: ``part`` of a canvas, in its pixels or fractions of them, at ``size``.
Resample = Callable[[Canvas, Box, Size], Canvas]


def lanczos(image: Canvas, part: Box, size: Size) -> Canvas:
    """Colours are weighted by their alpha; what is four times too large or more goes through box means first."""
    return image.resize(size, Image.Resampling.LANCZOS, box=part, reducing_gap=2.0)
