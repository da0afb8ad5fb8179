"""Put a colour behind what is transparent."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pixmill_shared.domain.recipe.colour import COLOUR_SCHEMA, WHITE, Colour, read_colour
from pixmill_shared.domain.recipe.fields import Fields


@dataclass(frozen=True)
class Background:
    """An opaque ``color`` leaves no alpha channel; of a picture without one this changes nothing."""

    SCHEMA: ClassVar[dict[str, Any]] = {"color": {**COLOUR_SCHEMA, "default": "#ffffff"}}

    colour: Colour = WHITE

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(read_colour(fields, "color", WHITE))

    def canonical(self) -> dict[str, object]:
        return {"op": "background", "color": str(self.colour)}
