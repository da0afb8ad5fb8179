"""Turn clockwise: quarter turns keep every pixel, other angles are resampled onto a background."""

from PIL import Image, ImageOps

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.turning import inverse_turn, turned
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.paint import able_to_show, ink, page
from pixmill_imaging.pillow.view import View
from pixmill_shared.domain.recipe import Rotate


def rotate(view: View, step: Rotate) -> View:
    if step.quarters is not None:
        return view.turned(step.quarters)
    return view.showing(view.settled().each(lambda frame: _turned(frame, step)))


def _turned(image: Canvas, step: Rotate) -> Canvas:
    size, shown = turned(Size(*image.size), step.angle), able_to_show(image, step.background)
    # A pixel of background all around: so the slanting edges are mixed with it, and not stairs.
    framed = ImageOps.expand(shown, 1, ink(shown.mode, step.background))
    ground = page(shown.mode, Size(1, 1), step.background)
    if shown.mode == "RGBA":
        # Colours weighted by their alpha: what cannot be seen must not darken what can.
        framed, ground = framed.convert("RGBa"), ground.convert("RGBa")
    points = inverse_turn(Size(*framed.size), size, step.angle)
    result = framed.transform(
        size, Image.Transform.AFFINE, points, Image.Resampling.BICUBIC, fillcolor=ground.getpixel((0, 0))
    )
    return result.convert(shown.mode)
