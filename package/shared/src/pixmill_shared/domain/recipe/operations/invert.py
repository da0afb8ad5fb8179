"""The negative."""

from dataclasses import dataclass

from pixmill_shared.domain.recipe.operations.amount import AmountFilter, Bounds


@dataclass(frozen=True)
class Invert(AmountFilter):
    """As CSS ``invert()``: ``amount`` 0 leaves the picture as it is, .5 makes it grey, 1 is the negative."""

    NAME = "invert"
    BOUNDS = Bounds(0.0, 1.0)

    amount: float = 1.0
