"""The operations of a recipe: one file each, chosen by the type of the step."""

from collections.abc import Callable
from typing import Any, Final

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.operations.blur import blur
from pixmill_imaging.pillow.operations.grayscale import grayscale
from pixmill_imaging.pillow.operations.resize import resize
from pixmill_imaging.pillow.operations.sharpen import sharpen
from pixmill_shared.domain.recipe import Blur, Grayscale, Operation, Resize, Sharpen

#: Each takes the canvas, the step, and the size that the canvas stands for: it may have been loaded smaller.
OPERATIONS: Final[dict[type, Callable[[Canvas, Any, Size], Canvas]]] = {
    Resize: resize,
    Grayscale: grayscale,
    Blur: blur,
    Sharpen: sharpen,
}


def apply_operation(image: Canvas, operation: Operation, stands_for: Size) -> Canvas:
    """Give a new canvas, or the same one if there is nothing to do; ``image`` itself is never changed."""
    return OPERATIONS[type(operation)](image, operation, stands_for)
