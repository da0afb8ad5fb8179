"""Lighter or darker."""

from dataclasses import dataclass

from pixmill_shared.domain.recipe.operations.amount import AmountFilter, Bounds


@dataclass(frozen=True)
class Brightness(AmountFilter):
    """As CSS ``brightness()``: every sample times ``amount``; 0 is black, 1 leaves the picture as it is."""

    NAME = "brightness"
    BOUNDS = Bounds(0.0, 10.0)

    amount: float = 1.2
