"""More or less colour."""

from dataclasses import dataclass

from pixmill_shared.domain.recipe.operations.amount import AmountFilter, Bounds


@dataclass(frozen=True)
class Saturation(AmountFilter):
    """Away from the grayscale picture by the factor ``amount``, as CSS ``saturate()``: 0 is the grayscale filter, 1
    changes nothing.
    """

    NAME = "saturation"
    BOUNDS = Bounds(0.0, 10.0)

    amount: float = 1.2
