"""Turned and mirrored: sizes, and where a box comes to lie. Pure."""

import math

from pixmill_imaging.domain.geometry import Box, Size

#: Less than this of a pixel is the error of a sine, not a part of the picture.
_NOTHING = 1e-6


def turned(size: Size, angle: float) -> Size:
    """The smallest size that holds a picture of ``size`` turned by ``angle`` degrees; exact for multiples of 90."""
    if angle % 90 == 0:
        return Size(size.height, size.width) if angle % 180 else size
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    return Size(
        max(1, math.ceil(size.width * cosine + size.height * sine - _NOTHING)),
        max(1, math.ceil(size.width * sine + size.height * cosine - _NOTHING)),
    )


def turned_box(box: Box, whole: Size, quarters: int) -> Box:
    """Where ``box`` of a picture of size ``whole`` lies once that is turned clockwise by so many quarters."""
    for _ in range(quarters):
        box = Box(whole.height - box.lower, box.left, whole.height - box.upper, box.right)
        whole = Size(whole.height, whole.width)
    return box


def mirrored_box(box: Box, whole: Size, sideways: bool) -> Box:
    """Where ``box`` lies once left and right, or top and bottom, have changed places."""
    if sideways:
        return Box(whole.width - box.right, box.upper, whole.width - box.left, box.lower)
    return Box(box.left, whole.height - box.lower, box.right, whole.height - box.upper)


def inverse_turn(source: Size, result: Size, angle: float) -> tuple[float, float, float, float, float, float]:
    """For each point of ``result`` the one of ``source``, turned clockwise around the middle: ``x' = a x + b y + c``
    and ``y' = d x + e y + f``.
    """
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    x, y = result.width / 2, result.height / 2
    return (
        *(cosine, sine, source.width / 2 - cosine * x - sine * y),
        *(-sine, cosine, source.height / 2 + sine * x - cosine * y),
    )
