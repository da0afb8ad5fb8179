"""Put a colour behind what is transparent."""

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.paint import on_page
from pixmill_shared.domain.recipe import Background


def background(image: Canvas, step: Background, _stands_for: Size) -> Canvas:
    return on_page(image, step.colour)
