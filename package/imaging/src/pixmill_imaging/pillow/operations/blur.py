"""Gaussian blur. Pillow's is three box blurs: its cost does not grow with sigma."""

from PIL import ImageFilter

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_shared.domain.recipe import Blur


def blur(image: Canvas, step: Blur, _stands_for: Size) -> Canvas:
    """Colours are weighted by their alpha, so that what cannot be seen does not bleed into what can."""
    gaussian = ImageFilter.GaussianBlur(step.sigma)
    if image.mode == "RGBA":
        return image.convert("RGBa").filter(gaussian).convert("RGBA")
    return image.filter(gaussian)
