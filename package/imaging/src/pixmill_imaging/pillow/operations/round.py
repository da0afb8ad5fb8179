"""Round the corners."""

import math

from PIL import Image, ImageChops

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.paint import able_to_show, page
from pixmill_shared.domain.recipe import TRANSPARENT, Round


def round_corners(image: Canvas, step: Round, _stands_for: Size) -> Canvas:
    """Transparent outside, unless there is a background to paint there; what is transparent inside stays so."""
    most = min(image.size) / 2
    mask = _rounded(Size(*image.size), most if step.radius is None else min(step.radius, most))
    if step.background == TRANSPARENT:
        cut = image.convert("RGBA")
        cut.putalpha(ImageChops.multiply(cut.getchannel("A"), mask))
        return cut
    shown = able_to_show(image, step.background)
    ground = page(shown.mode, Size(*shown.size), step.background)
    if shown.mode == "RGBA":
        return Image.composite(shown.convert("RGBa"), ground.convert("RGBa"), mask).convert("RGBA")
    return Image.composite(shown, ground, mask)


def _rounded(size: Size, radius: float) -> Canvas:
    """255 inside, 0 outside, the part that is covered on the edge."""
    corner = _quarter(radius)
    mask = Image.new("L", size, 255)
    right, lower = size.width - corner.width, size.height - corner.height
    sideways = corner.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for place, tile in (((0, 0), corner), ((right, 0), sideways)):
        mask.paste(tile, place)
        mask.paste(tile.transpose(Image.Transpose.FLIP_TOP_BOTTOM), (place[0], lower))
    return mask


def _quarter(radius: float) -> Canvas:
    """The upper left quarter of a disc. Row by row: all but a few pixels of a row are inside or outside."""
    side = math.ceil(radius)
    return Image.frombytes("L", (side, side), b"".join(_row(radius, side, radius - y - 0.5) for y in range(side)))


def _row(radius: float, side: int, height: float) -> bytes:
    """``height`` over the middle of the disc, in pixels."""
    first = max(0, math.floor(radius - _half_chord(radius + 0.5, height) - 0.5))
    inside = min(side, math.ceil(radius - _half_chord(radius - 0.5, height)))
    edge = (radius + 0.5 - math.hypot(radius - x - 0.5, height) for x in range(first, inside))
    return bytes(first) + bytes(round(255 * min(max(part, 0), 1)) for part in edge) + b"\xff" * (side - inside)


def _half_chord(radius: float, height: float) -> float:
    return math.sqrt(max(0.0, radius * radius - height * height))
