"""The negative, or part of the way to it."""

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.samples import on_samples
from pixmill_shared.domain.recipe import Invert


def invert(image: Canvas, step: Invert, _stands_for: Size) -> Canvas:
    return on_samples(image, lambda value: value + step.amount * (255 - 2 * value))
