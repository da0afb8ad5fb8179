"""Colours of recipes on canvases."""

from PIL import Image

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_shared.domain.recipe import Colour

Ink = int | tuple[int, ...]


def able_to_show(image: Canvas, colour: Colour) -> Canvas:
    """The same picture, in a mode that holds ``colour`` besides."""
    if not colour.is_opaque:
        return image.convert("RGBA")
    is_grey = colour.red == colour.green == colour.blue
    return image.convert("RGB") if image.mode == "L" and not is_grey else image


def ink(mode: str, colour: Colour) -> Ink:
    """``colour`` as Pillow wants it for a canvas of ``mode``, which is able to show it."""
    if mode == "L":
        return colour.red
    return tuple(colour) if mode == "RGBA" else tuple(colour[:3])


def page(mode: str, size: Size, colour: Colour) -> Canvas:
    """A canvas that is nothing but ``colour``."""
    return Image.new(mode, size, ink(mode, colour))


def on_page(image: Canvas, colour: Colour) -> Canvas:
    """With ``colour`` behind what is transparent; without an alpha channel if it is opaque."""
    if image.mode != "RGBA":
        return image
    size = Size(*image.size)
    if not colour.is_opaque:
        return Image.alpha_composite(page("RGBA", size, colour), image)
    flat = page("RGB", size, colour)
    flat.paste(image, mask=image.getchannel("A"))
    return flat
