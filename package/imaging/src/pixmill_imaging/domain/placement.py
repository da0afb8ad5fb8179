"""Which part of a picture a step of a recipe keeps, and at what size. Pure, as ``geometry`` is.

A ``Placement`` says everything that a resampler has to know: which part of the picture goes to which size.
"""

from typing import NamedTuple

from pixmill_imaging.domain.anchoring import anchored
from pixmill_imaging.domain.geometry import MAX_SIDE, Box, Size, fit, scaled
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import Anchor, Corner, Crop, Resize, ResizeMode
from pixmill_shared.errors import PermanentError


class Placement(NamedTuple):
    """``box`` of the source goes to a picture of ``size``."""

    box: Box
    size: Size


def placement(source: Size, resize: Resize) -> Placement:
    """What ``resize`` makes of a picture of size ``source``; of mode pad, what is to lie on the page."""
    if resize.mode is ResizeMode.FILL:
        return _fill(source, _box_of(resize), resize.enlarge, resize.anchor)
    size = _box_of(resize) if resize.mode is ResizeMode.EXACT else fit(source, _box_of(resize), resize.enlarge)
    return Placement(Box.whole(source), size)


def result_size(source: Size, resize: Resize) -> Size:
    return _box_of(resize) if resize.mode is ResizeMode.PAD else placement(source, resize).size


def crop_box(source: Size, crop: Crop) -> Box:
    """The part that ``crop`` keeps of a picture of size ``source``, inside it.

    Raises PermanentError ``recipe_mismatch`` if there is nothing of the picture.
    """
    if not isinstance(crop.at, Corner):
        part = Size(min(source.width, crop.width), min(source.height, crop.height))
        return anchored(source, part, crop.at)
    left, upper = crop.at.x, crop.at.y
    if left >= source.width or upper >= source.height:
        raise PermanentError(
            ErrorCode.RECIPE_MISMATCH,
            f"The crop begins at x={left}, y={upper}, which is outside of the picture: "
            f"it has {source.width}x{source.height} pixels at that step.",
        )
    return Box(left, upper, min(left + crop.width, source.width), min(upper + crop.height, source.height))


def needed(source: Size, placed: Placement, sideways: bool = False) -> Size:
    """The size that the whole source may be scaled down to before ``placed`` without losing anything.

    Never larger than the source: a loader only ever scales down. ``sideways``: between the two lies a quarter turn.
    """
    part, size = placed.box.size, placed.size
    if sideways:
        part, size = Size(part.height, part.width), Size(size.height, size.width)
    return Size(
        min(source.width, _ceil_div(source.width * size.width, part.width)),
        min(source.height, _ceil_div(source.height * size.height, part.height)),
    )


def _box_of(resize: Resize) -> Size:
    """A side that is not given does not bind, but for the limit."""
    return Size(resize.width or MAX_SIDE, resize.height or MAX_SIDE)


def _fill(source: Size, box: Size, enlarge: bool, anchor: Anchor) -> Placement:
    if not enlarge and (box.width > source.width or box.height > source.height):
        # The source cannot cover the box: what there is of it, at its own scale, cut to the box.
        size = Size(min(source.width, box.width), min(source.height, box.height))
        return Placement(anchored(source, size, anchor), size)
    if box.width * source.height <= box.height * source.width:
        part = Size(scaled(source.height, box.width, box.height), source.height)
    else:
        part = Size(source.width, scaled(source.width, box.height, box.width))
    return Placement(anchored(source, part, anchor), box)


def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
