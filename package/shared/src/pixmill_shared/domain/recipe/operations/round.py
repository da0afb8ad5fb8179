"""Round the corners."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.colour import COLOUR_SCHEMA, TRANSPARENT, Colour, read_colour
from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.limits import MAX_DIMENSION

_AS_MUCH_AS_FITS: Final = "max"
_MOST: Final = MAX_DIMENSION // 2


@dataclass(frozen=True)
class Round:
    """``radius`` in pixels, never more than half the shorter side; ``max`` is that half: a circle of a square.

    Outside the corners lies ``background``. Where that is transparent and the format has no alpha, it ends in white.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "radius": {
            "oneOf": [{"type": "integer", "minimum": 1, "maximum": _MOST}, {"const": _AS_MUCH_AS_FITS}],
            "default": _AS_MUCH_AS_FITS,
        },
        "background": {**COLOUR_SCHEMA, "default": "transparent"},
    }

    #: None is max.
    radius: int | None = None
    background: Colour = TRANSPARENT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        as_much_as_fits = fields.raw("radius") == _AS_MUCH_AS_FITS
        radius = None if as_much_as_fits else fields.integer("radius", None, 1, _MOST)
        return cls(radius, read_colour(fields, "background", TRANSPARENT))

    def canonical(self) -> dict[str, object]:
        radius = _AS_MUCH_AS_FITS if self.radius is None else self.radius
        return {"op": "round", "radius": radius, "background": str(self.background)}
