"""The operations of a recipe: one file each, chosen by the type of the step."""

from collections.abc import Callable
from typing import Any, Final

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.operations.autocontrast import Levels, levels_of, stretch
from pixmill_imaging.pillow.operations.blur import blur
from pixmill_imaging.pillow.operations.brightness import brightness
from pixmill_imaging.pillow.operations.contrast import contrast
from pixmill_imaging.pillow.operations.grayscale import grayscale
from pixmill_imaging.pillow.operations.invert import invert
from pixmill_imaging.pillow.operations.resize import resize
from pixmill_imaging.pillow.operations.saturation import saturation
from pixmill_imaging.pillow.operations.sepia import sepia
from pixmill_imaging.pillow.operations.sharpen import sharpen
from pixmill_imaging.pillow.picture import Picture
from pixmill_shared.domain.recipe import (
    Autocontrast,
    Blur,
    Brightness,
    Contrast,
    Grayscale,
    Invert,
    Operation,
    Resize,
    Saturation,
    Sepia,
    Sharpen,
)

#: Each takes the canvas, the step, and the size that the canvas stands for: it may have been loaded smaller.
OPERATIONS: Final[dict[type, Callable[[Canvas, Any, Size], Canvas]]] = {
    Resize: resize,
    Grayscale: grayscale,
    Blur: blur,
    Sharpen: sharpen,
    Brightness: brightness,
    Contrast: contrast,
    Invert: invert,
    Saturation: saturation,
    Sepia: sepia,
    Levels: stretch,
}


#: Of operations that depend on what is to be seen: from the first frame to a step that says what is to be done, so that
#: all frames of an animation are treated alike.
RESOLVERS: Final[dict[type, Callable[[Canvas, Any, Size], object]]] = {Autocontrast: levels_of}


def apply_operation(picture: Picture, operation: Operation, stands_for: Size) -> Picture:
    """Give a new picture, or the same one if there is nothing to do; ``picture`` itself is never changed."""
    resolve = RESOLVERS.get(type(operation))
    step = resolve(picture.frames[0], operation, stands_for) if resolve else operation
    change = OPERATIONS[type(step)]
    return picture.each(lambda frame: change(frame, step, stands_for))
