"""How large a recipe may be."""

from dataclasses import dataclass
from typing import Final

MAX_DIMENSION: Final = 16_384
#: Of either side of a WebP, by its format.
MAX_WEBP_SIDE: Final = 16_383
MAX_OUTPUTS: Final = 20
#: What the limit may be raised to: all outputs are made within one job's time.
MOST_OUTPUTS: Final = 100
MAX_OPERATIONS: Final = 50


@dataclass(frozen=True)
class Limits:
    """``max_dimension`` in pixels, the others are counts."""

    max_dimension: int = MAX_DIMENSION
    max_outputs: int = MAX_OUTPUTS
    max_operations: int = MAX_OPERATIONS


#: Of recipes that were taken already, under whatever limits there were.
TAKEN: Final = Limits(max_outputs=MOST_OUTPUTS)
