"""Away from the grayscale picture, or towards it."""

from PIL import Image

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas, on_colour
from pixmill_shared.domain.recipe import Saturation


def saturation(image: Canvas, step: Saturation, _stands_for: Size) -> Canvas:
    if image.mode == "L":
        return image
    return on_colour(image, lambda colour: Image.blend(colour.convert("L").convert("RGB"), colour, step.amount))
