"""What filters of one number share."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from pixmill_shared.domain.recipe.fields import Fields


class Bounds(NamedTuple):
    least: float
    most: float


@dataclass(frozen=True)
class AmountFilter:
    """A filter whose ``amount`` says how much of it; a kind of it gives its name, its bounds and its default."""

    NAME: ClassVar[str]
    BOUNDS: ClassVar[Bounds]
    SCHEMA: ClassVar[dict[str, Any]]

    amount: float = 1.0

    def __init_subclass__(cls) -> None:
        least, most = cls.BOUNDS
        cls.SCHEMA = {"amount": {"type": "number", "minimum": least, "maximum": most, "default": cls.amount}}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.number("amount", cls.amount, *cls.BOUNDS))

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": self.NAME, "amount": self.amount}
