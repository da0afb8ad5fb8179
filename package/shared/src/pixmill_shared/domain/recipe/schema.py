"""What ``parsing`` reads, as JSON Schema: for the API's reference. Each operation brings its own fields."""

from typing import Any, Final

from pixmill_shared.domain.recipe.limits import MAX_OPERATIONS, MAX_OUTPUTS, MOST_OUTPUTS
from pixmill_shared.domain.recipe.operations import FILTERS, OPERATIONS, Operation
from pixmill_shared.domain.recipe.output import OUTPUT_SCHEMA
from pixmill_shared.domain.recipe.parsing import NAME_PATTERN


def _step(title: str, fixed: dict[str, str], kind: type[Operation]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": title,
        "additionalProperties": False,
        "required": list(fixed),
        "properties": {**{key: {"const": value} for key, value in fixed.items()}, **kind.SCHEMA},
    }


_STEPS: Final = [_step(op.title(), {"op": op}, kind) for op, kind in OPERATIONS.items()] + [
    _step(f"Filter: {name}", {"op": "filter", "name": name}, kind) for name, kind in FILTERS.items()
]

_OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Output",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": f"^{NAME_PATTERN.pattern}$"},
        "operations": {"type": "array", "maxItems": MAX_OPERATIONS, "items": {"oneOf": _STEPS}},
        **OUTPUT_SCHEMA,
    },
}

RECIPE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Recipe",
    "additionalProperties": False,
    "required": ["outputs"],
    "properties": {
        "outputs": {
            "description": f"PIXMILL_MAX_OUTPUTS, which is {MAX_OUTPUTS} unless it was changed, may allow fewer",
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_OUTPUTS,
            "items": _OUTPUT,
        }
    },
    "examples": [
        {
            "outputs": [
                {
                    "name": "web",
                    "operations": [
                        {"op": "resize", "width": 800, "height": 600, "mode": "fit"},
                        {"op": "filter", "name": "sharpen", "amount": 0.6},
                    ],
                    "format": "webp",
                    "quality": 80,
                }
            ]
        }
    ],
}
