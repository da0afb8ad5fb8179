"""What a page can show of a picture before it is there: its placeholder and its colour."""

import base64
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from pixmill_imaging.domain.thumbhash import thumbhash
from pixmill_imaging.pillow.canvas import Canvas

#: Pixels of the longer side that both are computed from: no wave of a ThumbHash is shorter than four of them, and they
#: cost half a millisecond.
_SIDE: Final = 24
#: In each direction, for each of those pixels.
_SAMPLES: Final = 4
#: As many colours as one would name at a glance.
_COLOURS: Final = 6
_SEEN_FROM: Final = 128


@dataclass(frozen=True)
class Facts:
    """``thumbhash`` in base64; ``dominant_color`` as ``#rrggbb``, None if nothing can be seen."""

    thumbhash: str
    dominant_color: str | None


def facts(canvas: Canvas) -> Facts:
    """Of the first frame of a finished output."""
    small = _small(canvas)
    rgba = small.tobytes()
    return Facts(base64.b64encode(thumbhash(*small.size, rgba)).decode(), _dominant_colour(rgba))


def frames_in(data: bytes) -> int:
    """Of a file of our own making: an encoder may put frames together that look the same."""
    with Image.open(io.BytesIO(data)) as image:
        return int(getattr(image, "n_frames", 1))


def _small(canvas: Canvas) -> Canvas:
    scale = _SIDE / max(canvas.size)
    if scale >= 1:
        return canvas.convert("RGBA")
    size = (max(1, round(canvas.width * scale)), max(1, round(canvas.height * scale)))
    # A mean over a sample of the pixels: one over all of them would take longer than to encode a thumbnail.
    sample = (min(size[0] * _SAMPLES, canvas.width), min(size[1] * _SAMPLES, canvas.height))
    return canvas.resize(sample, Image.Resampling.NEAREST).convert("RGBA").resize(size, Image.Resampling.BOX)


def _dominant_colour(rgba: bytes) -> str | None:
    """The largest group of like colours among the pixels that are there."""
    seen = _visible(rgba)
    if not seen:
        return None
    row = Image.frombytes("RGB", (len(seen) // 3, 1), seen)
    grouped = row.quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    counts = grouped.histogram()
    largest = counts.index(max(counts))
    palette = grouped.getpalette() or []
    return f"#{bytes(palette[3 * largest : 3 * largest + 3]).hex()}"


def _visible(rgba: bytes) -> bytes:
    """RGB of the pixels that are there."""
    if min(rgba[3::4]) >= _SEEN_FROM:
        seen = bytearray(len(rgba) // 4 * 3)
        seen[0::3], seen[1::3], seen[2::3] = rgba[0::4], rgba[1::4], rgba[2::4]
        return bytes(seen)
    pixels = zip(rgba[::4], rgba[1::4], rgba[2::4], rgba[3::4], strict=True)
    return bytes(sample for *colour, alpha in pixels if alpha >= _SEEN_FROM for sample in colour)
