"""The operations of a recipe, one file each: the frozen type, how it is read from JSON, its canonical form, its schema.

To add one: a file here, a line in ``OPERATIONS`` (or ``FILTERS``), and what it does to pixels in imaging.
"""

from typing import Any, ClassVar, Final, Protocol, Self

from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.operations.autocontrast import Autocontrast
from pixmill_shared.domain.recipe.operations.blur import Blur
from pixmill_shared.domain.recipe.operations.brightness import Brightness
from pixmill_shared.domain.recipe.operations.contrast import Contrast
from pixmill_shared.domain.recipe.operations.grayscale import Grayscale
from pixmill_shared.domain.recipe.operations.invert import Invert
from pixmill_shared.domain.recipe.operations.resize import Resize, ResizeMode
from pixmill_shared.domain.recipe.operations.saturation import Saturation
from pixmill_shared.domain.recipe.operations.sepia import Sepia
from pixmill_shared.domain.recipe.operations.sharpen import Sharpen

__all__ = [
    "FILTERS",
    "OPERATIONS",
    "Autocontrast",
    "Blur",
    "Brightness",
    "Contrast",
    "Grayscale",
    "Invert",
    "Operation",
    "Resize",
    "ResizeMode",
    "Saturation",
    "Sepia",
    "Sharpen",
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
OPERATIONS: Final[dict[str, type[Operation]]] = {"resize": Resize}

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
