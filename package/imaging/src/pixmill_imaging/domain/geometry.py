"""Sizes and boxes in whole pixels. Pure: integers in, integers out, never 0, never beyond ``MAX_SIDE``."""

from typing import Final, NamedTuple, Self

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
    """A part of a picture, in pixels from its top left corner; ``right`` and ``lower`` are outside.

    Whole pixels of the picture that is meant, and any fraction of a pixel of one that was loaded smaller.
    """

    left: float
    upper: float
    right: float
    lower: float

    @classmethod
    def whole(cls, size: Size) -> Self:
        return cls(0, 0, size.width, size.height)

    @property
    def size(self) -> Size:
        """To the next whole pixel, at least 1."""
        return Size(max(1, round(self.right - self.left)), max(1, round(self.lower - self.upper)))

    def within(self, outer: "Box") -> "Box":
        """The same box, where this one is counted from the corner of ``outer``."""
        x, y = outer.left, outer.upper
        return Box(self.left + x, self.upper + y, self.right + x, self.lower + y)


def fit(source: Size, box: Size, enlarge: bool = False) -> Size:
    """The largest size of the source's aspect, within half a pixel, that is inside ``box``."""
    if not enlarge and source.width <= box.width and source.height <= box.height:
        return source
    if box.width * source.height <= box.height * source.width:
        return Size(box.width, scaled(source.height, box.width, source.width))
    return Size(scaled(source.width, box.height, source.height), box.height)


def rescaled(box: Box, source: Size, loaded: Size) -> Box:
    """``box`` of a picture of size ``source`` in the pixels of the same picture at size ``loaded``."""
    x, y = loaded.width / source.width, loaded.height / source.height
    # Not beyond the picture by the last bit of a float either: a resampler refuses that.
    return Box(box.left * x, box.upper * y, min(box.right * x, loaded.width), min(box.lower * y, loaded.height))


def scaled(length: int, numerator: int, denominator: int) -> int:
    """``length * numerator / denominator``, rounded half up in integers, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))
