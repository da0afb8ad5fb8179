"""Turn."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.colour import COLOUR_SCHEMA, WHITE, Colour, read_colour
from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.operations.form import Form

_MOST: Final = 360.0
#: Thousandths of a degree: less than a third of a pixel at the edge of the largest picture.
_DIGITS: Final = 3


@dataclass(frozen=True)
class Rotate:
    """``angle`` in degrees, clockwise, or the other way if it is negative. The picture grows to hold all of what was
    there, and the corners that appear are painted in ``background``. Multiples of 90 keep every pixel.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "angle": {"type": "number", "minimum": -_MOST, "maximum": _MOST},
        "background": {**COLOUR_SCHEMA, "default": "#ffffff"},
    }

    FORMS: ClassVar[tuple[Form, ...]] = (Form(required=("angle",)),)

    #: From 0 to below 360.
    angle: float
    background: Colour = WHITE

    @classmethod
    def read(cls, fields: Fields) -> Self:
        if not fields.given("angle"):
            fields.fail("is missing", "angle")
        angle = fields.number("angle", 0.0, -_MOST, _MOST)
        return cls(round(angle % 360, _DIGITS) % 360, read_colour(fields, "background", WHITE))

    @property
    def quarters(self) -> int | None:
        """How many quarter turns it is, from 0 to 3; None if it is another angle."""
        return int(self.angle // 90) if self.angle % 90 == 0 else None

    def canonical(self) -> dict[str, object]:
        background = {"background": str(self.background)} if self.quarters is None else {}
        return {"op": "rotate", "angle": self.angle, **background}
