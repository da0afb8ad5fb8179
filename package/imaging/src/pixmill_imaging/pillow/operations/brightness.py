"""Every sample times a factor."""

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.samples import on_samples
from pixmill_shared.domain.recipe import Brightness


def brightness(image: Canvas, step: Brightness, _stands_for: Size) -> Canvas:
    return on_samples(image, lambda value: value * step.amount)
