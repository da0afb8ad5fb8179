"""What ``parsing`` reads, as JSON Schema: for the API's reference. Each operation brings its own fields."""

from collections.abc import Iterator
from typing import Any, Final

from pixmill_shared.domain.recipe.limits import MAX_OPERATIONS, MAX_OUTPUTS, MOST_OUTPUTS
from pixmill_shared.domain.recipe.operations import FILTERS, OPERATIONS, Operation
from pixmill_shared.domain.recipe.operations.form import Form
from pixmill_shared.domain.recipe.output import OUTPUT_RULES, OUTPUT_SCHEMA
from pixmill_shared.domain.recipe.parsing import NAME_PATTERN


def _steps(title: str, fixed: dict[str, str], kind: type[Operation]) -> Iterator[dict[str, Any]]:
    """One for each way to write it: alternatives are easier to read, and to choose from, than conditions."""
    forms: tuple[Form, ...] = getattr(kind, "FORMS", (Form(),))
    for form in forms:
        fields = {name: form.fields.get(name, schema) for name, schema in kind.SCHEMA.items()}
        yield {
            "type": "object",
            "title": f"{title}: {form.name}" if form.name else title,
            "additionalProperties": False,
            "required": [*fixed, *form.required],
            "properties": {
                **{key: {"const": value} for key, value in fixed.items()},
                **{name: schema for name, schema in fields.items() if schema is not None},
            },
            **form.also,
        }


_STEPS: Final = [
    *(step for op, kind in OPERATIONS.items() for step in _steps(op.title(), {"op": op}, kind)),
    *(
        step
        for name, kind in FILTERS.items()
        for step in _steps(f"Filter: {name}", {"op": "filter", "name": name}, kind)
    ),
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
    **OUTPUT_RULES,
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
