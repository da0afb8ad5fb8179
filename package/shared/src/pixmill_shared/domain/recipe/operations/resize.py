"""Scale to a size."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.limits import MAX_DIMENSION

_SIDE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_DIMENSION}


class ResizeMode(StrEnum):
    FIT = "fit"
    FILL = "fill"
    EXACT = "exact"


@dataclass(frozen=True)
class Resize:
    """``width`` and ``height`` in pixels after autorotation; fit may leave one out, fill and exact have both.

    fit: inside the box. fill: cover the box and cut away what hangs over, evenly on both sides. exact:
    stretch. Without ``enlarge`` fit and fill never scale up; exact always gives the size that was asked for.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "width": _SIDE,
        "height": _SIDE,
        "mode": {"enum": list(ResizeMode), "default": "fit"},
        "enlarge": {"type": "boolean", "default": False},
    }

    width: int | None
    height: int | None
    mode: ResizeMode = ResizeMode.FIT
    enlarge: bool = False

    @classmethod
    def read(cls, fields: Fields) -> Self:
        width, height = fields.dimension("width"), fields.dimension("height")
        mode = fields.choice("mode", ResizeMode.FIT)
        given = sum(fields.given(key) for key in ("width", "height"))
        if given == 0:
            fields.fail("must have width, height or both")
        elif given == 1 and mode is not ResizeMode.FIT:
            fields.fail(f"must have both width and height for mode {mode}")
        return cls(width, height, mode, fields.boolean("enlarge", False))

    def canonical(self) -> dict[str, object]:
        size = {key: value for key, value in (("width", self.width), ("height", self.height)) if value is not None}
        return {"op": "resize", **size, "mode": str(self.mode), "enlarge": self.enlarge}
