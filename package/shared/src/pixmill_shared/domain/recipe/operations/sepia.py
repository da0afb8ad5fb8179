"""The brown of old photographs."""

from dataclasses import dataclass

from pixmill_shared.domain.recipe.operations.amount import AmountFilter, Bounds


@dataclass(frozen=True)
class Sepia(AmountFilter):
    """As CSS ``sepia()`` (W3C Filter Effects): ``amount`` 0 leaves the picture as it is, 1 makes it all brown."""

    NAME = "sepia"
    BOUNDS = Bounds(0.0, 1.0)

    amount: float = 1.0
