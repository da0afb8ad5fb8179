"""What the steps of a recipe make of a size, before there are pixels: for the limits, and for how small to decode."""

from collections.abc import Iterable

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.placement import crop_box, needed, placement, result_size
from pixmill_imaging.domain.turning import turned
from pixmill_shared.domain.recipe import Crop, Flip, Operation, Resize, Rotate


def size_after(size: Size, step: Operation) -> Size:
    """Exact but for a trim, which nobody can foresee: that counts as if it took nothing away.

    Raises PermanentError ``recipe_mismatch`` for a crop that has nothing of the picture.
    """
    if isinstance(step, Resize):
        return result_size(size, step)
    if isinstance(step, Crop):
        return crop_box(size, step).size
    return turned(size, step.angle) if isinstance(step, Rotate) else size


def size_to_load(source: Size, steps: Iterable[Operation]) -> Size:
    """The smallest size that the source may have where ``steps`` begin, without losing anything.

    What lies before the first resize may be crops, flips and quarter turns: they mean the same at any scale. Any
    other step needs the whole.
    """
    shown, sideways, is_cropped = source, False, False
    for step in steps:
        if isinstance(step, Resize):
            size = needed(source, placement(shown, step), sideways)
            return _with_detail(size, source) if is_cropped else size
        if isinstance(step, Rotate) and step.quarters is not None:
            sideways ^= step.quarters % 2 == 1
        elif not isinstance(step, Crop | Flip):
            return source
        is_cropped |= isinstance(step, Crop)
        shown = size_after(shown, step)
    return source


def is_whole(steps: Iterable[Operation]) -> bool:
    """Does the first resize get all of the source? What is cut away before it would be scaled for nothing."""
    for step in steps:
        if isinstance(step, Crop):
            return False
        if isinstance(step, Resize):
            return True
    return False


def rung_above(size: Size, sizes: Iterable[Size]) -> Size | None:
    """The smallest of ``sizes`` that a picture of ``size`` may be made of, if there is one.

    Twice as large in both directions, so that both steps together are as good as one (SSIM .995 and more).
    """
    fitting = (other for other in sizes if other.width >= 2 * size.width and other.height >= 2 * size.height)
    return min(fitting, key=lambda other: other.pixels, default=None)


def _with_detail(size: Size, source: Size) -> Size:
    """A quarter more: a crop may begin between two pixels, and what has none to spare is softened by moving it."""
    return Size(min(source.width, size.width * 5 // 4 + 1), min(source.height, size.height * 5 // 4 + 1))
