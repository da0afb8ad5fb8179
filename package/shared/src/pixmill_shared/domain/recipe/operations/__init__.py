"""The operations of a recipe, one file each: the frozen type, how it is read from JSON, its canonical form, its schema.

To add one: a file here, a line in ``OPERATIONS`` (or ``FILTERS``), and what it does to pixels in imaging.
"""

from typing import Any, ClassVar, Final, Protocol, Self

from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.operations.autocontrast import Autocontrast
from pixmill_shared.domain.recipe.operations.background import Background
from pixmill_shared.domain.recipe.operations.blur import Blur
from pixmill_shared.domain.recipe.operations.brightness import Brightness
from pixmill_shared.domain.recipe.operations.contrast import Contrast
from pixmill_shared.domain.recipe.operations.crop import Corner, Crop
from pixmill_shared.domain.recipe.operations.flip import Direction, Flip
from pixmill_shared.domain.recipe.operations.grayscale import Grayscale
from pixmill_shared.domain.recipe.operations.invert import Invert
from pixmill_shared.domain.recipe.operations.resize import Resize, ResizeMode
from pixmill_shared.domain.recipe.operations.rotate import Rotate
from pixmill_shared.domain.recipe.operations.round import Round
from pixmill_shared.domain.recipe.operations.saturation import Saturation
from pixmill_shared.domain.recipe.operations.sepia import Sepia
from pixmill_shared.domain.recipe.operations.sharpen import Sharpen
from pixmill_shared.domain.recipe.operations.trim import Trim
from pixmill_shared.domain.recipe.operations.watermark import DEFAULT_FONT, ImageMark, TextMark, Watermark

__all__ = [
    "DEFAULT_FONT",
    "FILTERS",
    "OPERATIONS",
    "Autocontrast",
    "Background",
    "Blur",
    "Brightness",
    "Contrast",
    "Corner",
    "Crop",
    "Direction",
    "Flip",
    "Grayscale",
    "ImageMark",
    "Invert",
    "Operation",
    "Resize",
    "ResizeMode",
    "Rotate",
    "Round",
    "Saturation",
    "Sepia",
    "Sharpen",
    "TextMark",
    "Trim",
    "Watermark",
    "decisive",
]


class Operation(Protocol):
    """A step of an output. Frozen and comparable; two steps that mean the same have one canonical form."""

    #: JSON Schema of its own fields, without ``op`` and ``name``; also the list of known keys.
    SCHEMA: ClassVar[dict[str, Any]]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From JSON; what is wrong is noted in ``fields``, and the value is then never used."""
        ...

    def canonical(self) -> dict[str, object]:
        """As JSON with every default filled in."""
        ...


#: By ``op``; ``filter`` has a name besides.
OPERATIONS: Final[dict[str, type[Operation]]] = {
    "resize": Resize,
    "crop": Crop,
    "rotate": Rotate,
    "flip": Flip,
    "trim": Trim,
    "background": Background,
    "round": Round,
    "watermark": Watermark,
}

#: By the ``name`` of a ``filter``.
FILTERS: Final[dict[str, type[Operation]]] = {
    "grayscale": Grayscale,
    "blur": Blur,
    "sharpen": Sharpen,
    "sepia": Sepia,
    "invert": Invert,
    "brightness": Brightness,
    "contrast": Contrast,
    "saturation": Saturation,
    "autocontrast": Autocontrast,
}


def decisive(operation: Operation) -> dict[str, object]:
    """What decides the pixels that a step makes: mostly its whole canonical form."""
    return operation.decisive() if isinstance(operation, Watermark) else operation.canonical()
