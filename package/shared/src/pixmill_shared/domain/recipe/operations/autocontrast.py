"""Stretch what there is of contrast to all of it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields

_DEFAULT: Final = 1.0
_LEAST: Final = 0.0
_MOST: Final = 49.0


@dataclass(frozen=True)
class Autocontrast:
    """The darkest pixels become black and the lightest white, by one line for all channels, so that hues stay.

    ``cutoff`` is how many percent of the pixels, at each end, may be lost in black and white; 0 goes by the one darkest
    and the one lightest.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "cutoff": {"type": "number", "minimum": _LEAST, "maximum": _MOST, "default": _DEFAULT}
    }

    cutoff: float = _DEFAULT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.number("cutoff", _DEFAULT, _LEAST, _MOST))

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": "autocontrast", "cutoff": self.cutoff}
