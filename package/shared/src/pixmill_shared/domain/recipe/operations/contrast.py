"""More or less between dark and light."""

from dataclasses import dataclass

from pixmill_shared.domain.recipe.operations.amount import AmountFilter, Bounds


@dataclass(frozen=True)
class Contrast(AmountFilter):
    """As CSS ``contrast()``: away from middle grey by the factor ``amount``; 0 is grey, 1 changes nothing."""

    NAME = "contrast"
    BOUNDS = Bounds(0.0, 10.0)

    amount: float = 1.2
