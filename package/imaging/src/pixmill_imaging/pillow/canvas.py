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


def on_colour(image: Canvas, change: Callable[[Canvas], Canvas]) -> Canvas:
    """Change the colour and keep the alpha channel as it is."""
    if image.mode != "RGBA":
        return change(image)
    changed = change(image.convert("RGB")).convert("RGBA")
    changed.putalpha(image.getchannel("A"))
    return changed
