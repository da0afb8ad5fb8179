"""Sizes and boxes in whole pixels. Pure: integers in, integers out, never 0, never beyond ``MAX_SIDE``.

A ``Placement`` says everything that a resampler has to know: which part of the picture goes to which size.
"""

from typing import Final, NamedTuple

from pixmill_shared.domain.recipe import Resize, ResizeMode

#: No side of a result is longer, whatever the aspect of the source; recipes cannot ask for more either.
MAX_SIDE: Final = 16_384


class Size(NamedTuple):
    """``width`` and ``height`` in pixels, after autorotation, at least 1."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


class Box(NamedTuple):
    """A part of a picture, in pixels from its top left corner; ``right`` and ``lower`` are outside."""

    left: float
    upper: float
    right: float
    lower: float


class Placement(NamedTuple):
    """``box`` of the source goes to a picture of ``size``."""

    box: Box
    size: Size


def placement(source: Size, resize: Resize) -> Placement:
    """What ``resize`` makes of a picture of size ``source``."""
    if resize.mode is ResizeMode.FILL:
        return _fill(source, _box_of(resize), resize.enlarge)
    size = _box_of(resize) if resize.mode is ResizeMode.EXACT else fit(source, _box_of(resize), resize.enlarge)
    return Placement(Box(0, 0, *source), size)


def fit(source: Size, box: Size, enlarge: bool = False) -> Size:
    """The largest size of the source's aspect, within half a pixel, that is inside ``box``."""
    if not enlarge and source.width <= box.width and source.height <= box.height:
        return source
    if box.width * source.height <= box.height * source.width:
        return Size(box.width, _scaled(source.height, box.width, source.width))
    return Size(_scaled(source.width, box.height, source.height), box.height)


def needed(source: Size, resize: Resize) -> Size:
    """The size that the whole source may be scaled down to before ``resize`` without losing anything.

    Never larger than the source: a loader only ever scales down.
    """
    box, size = placement(source, resize)
    return Size(
        min(source.width, _ceil_div(source.width * size.width, round(box.right - box.left))),
        min(source.height, _ceil_div(source.height * size.height, round(box.lower - box.upper))),
    )


def rescaled(box: Box, source: Size, loaded: Size) -> Box:
    """``box`` of a picture of size ``source`` in the pixels of the same picture at size ``loaded``."""
    x, y = loaded.width / source.width, loaded.height / source.height
    # Not beyond the picture by the last bit of a float either: a resampler refuses that.
    return Box(box.left * x, box.upper * y, min(box.right * x, loaded.width), min(box.lower * y, loaded.height))


def _box_of(resize: Resize) -> Size:
    """A side that is not given does not bind, but for the limit."""
    return Size(resize.width or MAX_SIDE, resize.height or MAX_SIDE)


def _fill(source: Size, box: Size, enlarge: bool) -> Placement:
    if not enlarge and (box.width > source.width or box.height > source.height):
        # The source cannot cover the box: what there is of it, at its own scale, cut to the box.
        size = Size(min(source.width, box.width), min(source.height, box.height))
        return Placement(_centred(source, size), size)
    if box.width * source.height <= box.height * source.width:
        part = Size(_scaled(source.height, box.width, box.height), source.height)
    else:
        part = Size(source.width, _scaled(source.width, box.height, box.width))
    return Placement(_centred(source, part), box)


def _centred(source: Size, part: Size) -> Box:
    left, upper = (source.width - part.width) // 2, (source.height - part.height) // 2
    return Box(left, upper, left + part.width, upper + part.height)


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """``length * numerator / denominator``, rounded half up in integers, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))


def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
