"""Cut a border of one colour away."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields

_DEFAULT: Final = 10
_MOST: Final = 254


@dataclass(frozen=True)
class Trim:
    """The border has the colour of the upper left pixel; ``threshold`` is how far a channel may be from it, of 255.

    A picture that is nothing but border stays as it is.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "threshold": {"type": "integer", "minimum": 0, "maximum": _MOST, "default": _DEFAULT}
    }

    threshold: int = _DEFAULT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        threshold = fields.integer("threshold", _DEFAULT, 0, _MOST)
        return cls(_DEFAULT if threshold is None else threshold)

    def canonical(self) -> dict[str, object]:
        return {"op": "trim", "threshold": self.threshold}
