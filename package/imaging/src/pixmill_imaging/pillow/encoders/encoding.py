"""What an encoder is given beside the picture, and what all of them need."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.picture import Picture

_WHITE: Final = (255, 255, 255)


@dataclass(frozen=True)
class Encoding:
    """``quality`` from 1 to 100, which PNG and GIF have no use for."""

    quality: int


@dataclass(frozen=True)
class Encoder:
    """A format that can be written. ``extension`` has no dot."""

    media_type: str
    extension: str
    encode: Callable[[Picture, Encoding], bytes]


def flattened(image: Canvas) -> Canvas:
    """On white, as a page would show it."""
    if image.mode != "RGBA":
        return image
    page = Image.new("RGB", image.size, _WHITE)
    page.paste(image, mask=image.getchannel("A"))
    return page


def saved(image: Canvas, pillow_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, pillow_format, **options)
    return buffer.getvalue()
