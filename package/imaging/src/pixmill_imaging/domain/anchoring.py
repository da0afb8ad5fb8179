"""Where a part of a picture lies. Pure: whole pixels, always inside."""

from typing import Final

from pixmill_imaging.domain.geometry import Box, Size
from pixmill_shared.domain.recipe import Anchor, Focus, Gravity, Smart

#: How much of what is left over lies to the left and above, in halves.
_HALVES: Final[dict[Gravity | Smart, tuple[int, int]]] = {
    Gravity.NORTHWEST: (0, 0),
    Gravity.NORTH: (1, 0),
    Gravity.NORTHEAST: (2, 0),
    Gravity.WEST: (0, 1),
    Gravity.CENTER: (1, 1),
    Gravity.EAST: (2, 1),
    Gravity.SOUTHWEST: (0, 2),
    Gravity.SOUTH: (1, 2),
    Gravity.SOUTHEAST: (2, 2),
    # Whoever sees the pixels puts a focus in its place; what is planned before is the size alone.
    Smart.SMART: (1, 1),
}


def anchored(whole: Size, part: Size, anchor: Anchor) -> Box:
    """A box of size ``part``, which fits into ``whole``."""
    if isinstance(anchor, Focus):
        left, upper = _around(anchor.x, whole.width, part.width), _around(anchor.y, whole.height, part.height)
    else:
        across, down = _HALVES[anchor]
        left, upper = (whole.width - part.width) * across // 2, (whole.height - part.height) * down // 2
    return Box(left, upper, left + part.width, upper + part.height)


def _around(point: float, whole: int, part: int) -> int:
    """Where a part begins that has ``point`` in its middle, as far as the edges let."""
    return min(max(round(point * whole - part / 2), 0), whole - part)
