"""Make edges stand out."""

from dataclasses import dataclass

from pixmill_shared.domain.recipe.operations.amount import AmountFilter, Bounds


@dataclass(frozen=True)
class Sharpen(AmountFilter):
    """Unsharp mask; ``amount`` 1 adds the difference to a blurred copy once."""

    NAME = "sharpen"
    BOUNDS = Bounds(0.01, 10.0)

    amount: float = 0.6
