"""More or less between dark and light."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields

_DEFAULT: Final = 1.2
_LEAST: Final = 0.0
_MOST: Final = 10.0


@dataclass(frozen=True)
class Contrast:
    """As CSS ``contrast()``: away from middle grey by the factor ``amount``; 0 is grey, 1 changes nothing."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "amount": {"type": "number", "minimum": _LEAST, "maximum": _MOST, "default": _DEFAULT}
    }

    amount: float = _DEFAULT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.number("amount", _DEFAULT, _LEAST, _MOST))

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": "contrast", "amount": self.amount}
