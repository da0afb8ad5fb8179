"""The frames of an animated GIF: of each, no more is stored than what it changes.

Pillow's own writer compares frames after it reduced their colours, so that a still background flickers and is stored
again and again, and drops frames that repeat the one before.
"""

from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageChops

from pixmill_imaging.domain import gif
from pixmill_imaging.domain.animation import Disposal, Part
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.encoders.encoding import flattened, saved
from pixmill_imaging.pillow.picture import Picture

#: A GIF pixel is there or not; from half on it is.
OPAQUE_FROM: Final = 128
TRANSPARENT_INDEX: Final = 255

Bounds = tuple[int, int, int, int]


def encode_frames(picture: Picture, comment: bytes = b"") -> bytes:
    """A GIF with as many frames as ``picture``, of the same durations to a hundredth of a second."""
    pieces = _cut_outs(picture) if picture.frames[0].mode == "RGBA" else _changes(picture)
    return gif.joined(picture.size, picture.loop, pieces, comment)


def _changes(picture: Picture) -> Iterator[Part]:
    """Of opaque frames: each lies on the one before, and what is the same can be seen through."""
    before: Canvas | None = None
    for frame, duration in zip(picture.frames, picture.durations, strict=True):
        picture.step()
        if before is None:
            yield _part(_opaque(frame), (0, 0), duration, Disposal.KEEP)
        else:
            difference = ImageChops.difference(frame, before)
            bounds = difference.getbbox() or (0, 0, 1, 1)
            same = _largest(difference.crop(bounds)).point(lambda sample: 0 if sample else 255)
            yield _part(_with_holes(frame.crop(bounds), same), bounds[:2], duration, Disposal.KEEP)
        before = frame


def _cut_outs(picture: Picture) -> Iterator[Part]:
    """Of frames that can be seen through: each is complete, and is cleared away for the next."""
    for frame, duration in zip(picture.frames, picture.durations, strict=True):
        picture.step()
        hidden = frame.getchannel("A").point(lambda alpha: 255 if alpha < OPAQUE_FROM else 0)
        bounds = ImageChops.invert(hidden).getbbox() or (0, 0, 1, 1)
        piece = _with_holes(flattened(frame.crop(bounds)), hidden.crop(bounds))
        yield _part(piece, bounds[:2], duration, Disposal.CLEAR)


def _part(indexed: Image.Image, corner: tuple[int, int], duration: int, disposal: Disposal) -> Part:
    file = saved(indexed, "GIF", optimize=False)
    return Part(*corner, Size(*indexed.size), duration, disposal, True, file)


def _opaque(frame: Canvas) -> Image.Image:
    return frame.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT)


def _with_holes(frame: Canvas, holes: Image.Image) -> Image.Image:
    indexed = frame.convert("RGB").quantize(TRANSPARENT_INDEX, Image.Quantize.MEDIANCUT)
    indexed.paste(TRANSPARENT_INDEX, mask=holes)
    indexed.info["transparency"] = TRANSPARENT_INDEX
    return indexed


def _largest(difference: Image.Image) -> Image.Image:
    """One band: the most that any band of the picture has."""
    first, *others = difference.split()
    for band in others:
        first = ImageChops.lighter(first, band)
    return first
