"""Mirror."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from pixmill_shared.domain.recipe.fields import Fields


class Direction(StrEnum):
    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


@dataclass(frozen=True)
class Flip:
    """horizontal: left becomes right. vertical: top becomes bottom."""

    SCHEMA: ClassVar[dict[str, Any]] = {"direction": {"enum": list(Direction), "default": "horizontal"}}

    direction: Direction = Direction.HORIZONTAL

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.choice("direction", Direction.HORIZONTAL))

    def canonical(self) -> dict[str, object]:
        return {"op": "flip", "direction": str(self.direction)}
