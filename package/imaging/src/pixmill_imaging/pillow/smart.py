"""Put a focal point in the place of ``smart``: the interest is looked for in a small copy of what is to be seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from PIL import Image

from pixmill_imaging.domain.geometry import Box, Size, fit, rescaled
from pixmill_imaging.domain.placement import crop_box, placement
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.paint import on_page
from pixmill_imaging.pillow.view import View
from pixmill_shared.domain.recipe import Colour, Crop, Focus, Operation, Resize, Smart

#: From an RGB picture and the size of the part to be kept, in its pixels, to the middle of the best such part.
FindFocus = Callable[[Canvas, Size], Focus]

#: Attention looks at 32x32 cells and entropy at slices of an eighth: more pixels than this tell them nothing.
_OVERVIEW: Final = Size(256, 256)
_GREY: Final = Colour(128, 128, 128)


def pointed(view: View, step: Operation, find_focus: FindFocus) -> Operation:
    """The same step where it has no ``smart``. Decided by the first frame, so that an animation holds still."""
    if isinstance(step, Resize) and step.anchor is Smart.SMART:
        return replace(step, anchor=_focus(view, placement(view.size, step).box, find_focus))
    if isinstance(step, Crop) and step.at is Smart.SMART:
        return replace(step, at=_focus(view, crop_box(view.size, step), find_focus))
    return step


def _focus(view: View, part: Box, find_focus: FindFocus) -> Focus:
    if part.size == view.size:
        return Focus(0.5, 0.5)
    size = fit(view.size, _OVERVIEW)
    return find_focus(_overview(view, size), rescaled(Box.whole(part.size), view.size, size).size)


def _overview(view: View, size: Size) -> Canvas:
    frame = view.picture.frames[0]
    part = rescaled(view.box, view.stands_for, Size(*frame.size))
    small = frame.resize(size, Image.Resampling.LANCZOS, box=part, reducing_gap=2.0)
    return on_page(small, _GREY).convert("RGB")
