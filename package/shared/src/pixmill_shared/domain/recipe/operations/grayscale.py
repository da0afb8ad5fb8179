"""Take the colour away."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pixmill_shared.domain.recipe.fields import Fields


@dataclass(frozen=True)
class Grayscale:
    SCHEMA: ClassVar[dict[str, Any]] = {}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls()

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": "grayscale"}
