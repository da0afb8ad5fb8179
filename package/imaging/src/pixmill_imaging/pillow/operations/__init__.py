"""The operations of a recipe: one file each, chosen by the type of the step."""

from collections.abc import Callable
from typing import Any, Final

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.kernels import Change, Kernels
from pixmill_imaging.pillow.operations.autocontrast import Levels, levels_of, stretch
from pixmill_imaging.pillow.operations.background import background
from pixmill_imaging.pillow.operations.blur import blur
from pixmill_imaging.pillow.operations.brightness import brightness
from pixmill_imaging.pillow.operations.contrast import contrast
from pixmill_imaging.pillow.operations.crop import crop
from pixmill_imaging.pillow.operations.flip import flip
from pixmill_imaging.pillow.operations.grayscale import grayscale
from pixmill_imaging.pillow.operations.invert import invert
from pixmill_imaging.pillow.operations.resize import resize
from pixmill_imaging.pillow.operations.rotate import rotate
from pixmill_imaging.pillow.operations.round import round_corners
from pixmill_imaging.pillow.operations.saturation import saturation
from pixmill_imaging.pillow.operations.sepia import sepia
from pixmill_imaging.pillow.operations.sharpen import sharpen
from pixmill_imaging.pillow.operations.trim import without_border
from pixmill_imaging.pillow.operations.watermark import Assets, Overlay, overlay, prepare
from pixmill_imaging.pillow.smart import pointed
from pixmill_imaging.pillow.view import View
from pixmill_shared.domain.recipe import (
    Autocontrast,
    Background,
    Blur,
    Brightness,
    Contrast,
    Crop,
    Flip,
    Grayscale,
    Invert,
    Operation,
    Resize,
    Rotate,
    Round,
    Saturation,
    Sepia,
    Sharpen,
    Trim,
    Watermark,
)

#: What moves pixels and does not look at them. Each takes the view, which may have been loaded smaller than it is, and
#: the step. That the source may be is decided in ``domain.plan``.
FRAMINGS: Final[dict[type, Callable[[View, Any], View]]] = {Resize: resize, Crop: crop, Rotate: rotate, Flip: flip}


OPERATIONS: Final[dict[type, Change]] = {
    Grayscale: grayscale,
    Blur: blur,
    Sharpen: sharpen,
    Brightness: brightness,
    Contrast: contrast,
    Invert: invert,
    Saturation: saturation,
    Sepia: sepia,
    Levels: stretch,
    Overlay: overlay,
    Background: background,
    Round: round_corners,
}


#: Of operations that depend on what is to be seen: from the first frame to a step that says what is to be done, so that
#: all frames of an animation are treated alike.
RESOLVERS: Final[dict[type, Callable[[Canvas, Any, Size], object]]] = {Autocontrast: levels_of, Trim: without_border}


def apply_operation(view: View, operation: Operation, kernels: Kernels, assets: Assets) -> View:
    """Give a new view, or the same one if there is nothing to do; ``view`` itself is never changed.

    Raises PermanentError ``recipe_mismatch`` for a step that this picture does not allow.
    """
    if type(operation) in FRAMINGS:
        return FRAMINGS[type(operation)](view, pointed(view, operation, kernels.find_focus))
    picture = view.settled()
    step: Any = _resolved(picture.frames[0], operation, picture.size, assets)
    if type(step) in FRAMINGS:
        return FRAMINGS[type(step)](view.showing(picture), step)
    change = kernels.twins.get(type(step)) or OPERATIONS[type(step)]
    return view.showing(picture.each(lambda frame: change(frame, step, picture.size)))


def _resolved(frame: Canvas, operation: Operation, size: Size, assets: Assets) -> object:
    if isinstance(operation, Watermark):
        return prepare(frame, operation, assets)
    resolve = RESOLVERS.get(type(operation))
    return resolve(frame, operation, size) if resolve else operation
