"""The brown of old photographs, by the matrix of CSS ``sepia()``."""

from typing import Final

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.pillow.canvas import Canvas, on_colour
from pixmill_shared.domain.recipe import Sepia

_BROWN: Final = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


def sepia(image: Canvas, step: Sepia, _stands_for: Size) -> Canvas:
    """A grey picture becomes RGB: brown is a colour."""
    matrix = _matrix(step.amount)
    return on_colour(image, lambda colour: colour.convert("RGB").convert("RGB", matrix))


def _matrix(amount: float) -> tuple[float, ...]:
    """Rows of red, green, blue and a constant; between the identity and all brown."""
    rows = (
        (*(amount * share + (1 - amount) * (column == row) for column, share in enumerate(shares)), 0.0)
        for row, shares in enumerate(_BROWN)
    )
    return tuple(share for row in rows for share in row)
