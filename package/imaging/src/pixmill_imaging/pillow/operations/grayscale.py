"""Luma (ITU-R 601-2) of every pixel; alpha stays."""

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas, on_colour
from pixmill_shared.domain.recipe import Grayscale


def grayscale(image: Canvas, _step: Grayscale, _stands_for: Size) -> Canvas:
    return on_colour(image, lambda colour: colour.convert("L"))
