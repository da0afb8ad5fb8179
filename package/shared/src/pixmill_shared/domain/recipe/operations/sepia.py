"""The brown of old photographs."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields

_DEFAULT: Final = 1.0
_LEAST: Final = 0.0
_MOST: Final = 1.0


@dataclass(frozen=True)
class Sepia:
    """As CSS ``sepia()`` (W3C Filter Effects): ``amount`` 0 leaves the picture as it is, 1 makes it all brown."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "amount": {"type": "number", "minimum": _LEAST, "maximum": _MOST, "default": _DEFAULT}
    }

    amount: float = _DEFAULT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.number("amount", _DEFAULT, _LEAST, _MOST))

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": "sepia", "amount": self.amount}
