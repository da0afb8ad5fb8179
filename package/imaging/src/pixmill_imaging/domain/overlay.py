"""Where a watermark goes, and how large it is there. Pure: integers in, integers out."""

from typing import Final, NamedTuple

from pixmill_imaging.domain.geometry import Size, fit
from pixmill_shared.domain.recipe import Gravity

_LEFT: Final = (Gravity.NORTHWEST, Gravity.WEST, Gravity.SOUTHWEST)
_RIGHT: Final = (Gravity.NORTHEAST, Gravity.EAST, Gravity.SOUTHEAST)
_TOP: Final = (Gravity.NORTHWEST, Gravity.NORTH, Gravity.NORTHEAST)
_BOTTOM: Final = (Gravity.SOUTHWEST, Gravity.SOUTH, Gravity.SOUTHEAST)


class Spot(NamedTuple):
    """In pixels from the top left corner of the picture; negative where a tile hangs over."""

    left: int
    upper: int


def room(picture: Size, margin: int) -> Size:
    """What a margin leaves of a picture: at least one pixel, however wide the margin."""
    return Size(*(side - 2 * _bounded(margin, side) for side in picture))


def mark_size(natural: Size, picture: Size, margin: int, scale: float | None) -> Size:
    """The size of an image on a picture: its own, or ``scale`` of the picture's width; never beyond the margins."""
    if scale is None:
        return fit(natural, room(picture, margin))
    width = max(1, round(picture.width * scale))
    height = max(1, round(natural.height * width / natural.width))
    return fit(Size(width, height), room(picture, margin))


def horizontal(gravity: Gravity) -> float:
    """0 at the left edge, 1 at the right one."""
    return 0 if gravity in _LEFT else 1 if gravity in _RIGHT else 0.5


def vertical(gravity: Gravity) -> float:
    """0 at the upper edge, 1 at the lower one."""
    return 0 if gravity in _TOP else 1 if gravity in _BOTTOM else 0.5


def spot(mark: Size, picture: Size, gravity: Gravity, margin: int) -> Spot:
    """Of a mark that fits into ``room``: ``margin`` away from the edges that the gravity names."""
    return Spot(
        _along(mark.width, picture.width, horizontal(gravity), margin),
        _along(mark.height, picture.height, vertical(gravity), margin),
    )


def repeated(start: int, period: int, length: int) -> range:
    """All places from which something of ``period`` pixels, laid out through ``start``, covers 0 to ``length``."""
    first = start % period
    return range(first - period if first else 0, length, period)


def _along(mark: int, side: int, part: float, margin: int) -> int:
    bounded = _bounded(margin, side)
    return bounded + int((side - 2 * bounded - mark) * part)


def _bounded(margin: int, side: int) -> int:
    return min(margin, (side - 1) // 2)
