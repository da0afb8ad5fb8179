"""Make edges stand out."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields

_DEFAULT: Final = 0.6
_LEAST: Final = 0.01
_MOST: Final = 10.0


@dataclass(frozen=True)
class Sharpen:
    """Unsharp mask; ``amount`` 1 adds the difference to a blurred copy once."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "amount": {"type": "number", "minimum": _LEAST, "maximum": _MOST, "default": _DEFAULT}
    }

    amount: float = _DEFAULT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.number("amount", _DEFAULT, _LEAST, _MOST))

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": "sharpen", "amount": self.amount}
