"""Make soft."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields

_DEFAULT: Final = 2.0
_LEAST: Final = 0.1
_MOST: Final = 250.0


@dataclass(frozen=True)
class Blur:
    """Gaussian; ``sigma`` in pixels of the picture as it is at this step."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "sigma": {"type": "number", "minimum": _LEAST, "maximum": _MOST, "default": _DEFAULT}
    }

    sigma: float = _DEFAULT

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(fields.number("sigma", _DEFAULT, _LEAST, _MOST))

    def canonical(self) -> dict[str, object]:
        return {"op": "filter", "name": "blur", "sigma": self.sigma}
