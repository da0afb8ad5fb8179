"""Find the border of one colour; a crop then takes it away."""

from functools import reduce

from PIL import Image, ImageChops

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_shared.domain.recipe import Corner, Crop, Trim


def without_border(image: Canvas, step: Trim, _stands_for: Size) -> Crop:
    """The crop that leaves what is not border, or all if everything is."""
    # With alpha taken into the colours, all that is invisible is of one colour.
    seen = image.convert("RGBa") if image.mode == "RGBA" else image
    border = Image.new(seen.mode, seen.size, seen.getpixel((0, 0)))
    furthest = reduce(ImageChops.lighter, ImageChops.difference(seen, border).split())
    box = furthest.point(lambda distance: 255 if distance > step.threshold else 0).getbbox()
    left, upper, right, lower = box or (0, 0, *image.size)
    return Crop(right - left, lower - upper, Corner(left, upper))
