"""The interesting part of a picture, by libvips' attention: edges, skin, and colours that stand out."""

import pyvips

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.vips import library  # noqa: F401 - configures the process
from pixmill_shared.domain.recipe import Focus


def attention(image: Canvas, part: Size) -> Focus:
    """The point that draws the eye; ``image`` is RGB."""
    pixels = pyvips.Image.new_from_memory(image.tobytes(), image.width, image.height, 3, "uchar")
    _, point = pixels.copy(interpretation="srgb").smartcrop(
        part.width, part.height, interesting="attention", attention_x=True, attention_y=True
    )
    return Focus((point["attention_x"] + 0.5) / image.width, (point["attention_y"] + 0.5) / image.height)
