"""What operations and encoders work on, and how a decoder's buffer becomes one."""

from collections.abc import Callable
from typing import Final

from PIL import Image

#: A picture in mode L, RGB or RGBA, 8 bits a channel, sRGB.
Canvas = Image.Image

_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}


def canvas_from_pixels(pixels: bytes, width: int, height: int, bands: int) -> Canvas:
    """A canvas of rows of interleaved 8-bit samples, top to bottom; ``bands`` is 1, 3 or 4."""
    mode = _MODES[bands]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def weighted_pixels(image: Canvas) -> tuple[bytes, int]:
    """Rows of interleaved samples, and their bands, for averaging: colours are multiplied by alpha if there is one."""
    weighted = image.convert("RGBa") if image.mode == "RGBA" else image
    return weighted.tobytes(), len(weighted.getbands())


def canvas_from_weighted(pixels: bytes, width: int, height: int, bands: int) -> Canvas:
    """The way back from ``weighted_pixels``, perhaps at another size."""
    if bands == 4:
        return Image.frombuffer("RGBa", (width, height), pixels, "raw", "RGBa", 0, 1).convert("RGBA")
    return canvas_from_pixels(pixels, width, height, bands)


def on_colour(image: Canvas, change: Callable[[Canvas], Canvas]) -> Canvas:
    """Change the colour and keep the alpha channel as it is."""
    if image.mode != "RGBA":
        return change(image)
    changed = change(image.convert("RGB")).convert("RGBA")
    changed.putalpha(image.getchannel("A"))
    return changed
