"""Writes ``docs/imaging.md`` and its pictures from the operations themselves, each made by the real engine.

Run it after a change of an operation: ``.venv/bin/python tools/imaging_docs.py``. A test fails while the text differs.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from pixmill_imaging.service.assets import Assets, nothing_to_read
from pixmill_imaging.service.render import render
from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_imaging.wiring import engine
from pixmill_shared.domain.recipe import FILTERS, OPERATIONS, Operation, parse_recipe
from pixmill_shared.domain.recipe.output import OUTPUT_SCHEMA

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "imaging.md"
PICTURES = ROOT / "docs" / "imaging"

SMALL = {"op": "resize", "width": 200, "height": 150}

#: The steps that show an operation; those of filters are made of their defaults.
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "resize-fit": [{"op": "resize", "width": 160, "height": 160}],
    "resize-fill": [{"op": "resize", "width": 120, "height": 120, "mode": "fill"}],
    "resize-fill-focus": [
        {"op": "resize", "width": 80, "height": 120, "mode": "fill", "focus": {"x": 0.25, "y": 0.25}}
    ],
    "resize-fill-smart": [{"op": "resize", "width": 80, "height": 120, "mode": "fill", "gravity": "smart"}],
    "resize-pad": [{"op": "resize", "width": 150, "height": 150, "mode": "pad", "background": "#f2d9a0"}],
    "resize-exact": [{"op": "resize", "width": 90, "height": 150, "mode": "exact"}],
    "crop": [{"op": "crop", "x": 60, "y": 30, "width": 220, "height": 180}, SMALL],
    "rotate": [SMALL, {"op": "rotate", "angle": 20, "background": "#f2d9a0"}],
    "flip": [SMALL, {"op": "flip", "direction": "horizontal"}],
    "trim": [
        {"op": "resize", "width": 300, "height": 300, "mode": "pad", "background": "#ffffff"},
        {"op": "trim"},
        SMALL,
    ],
    "background": [SMALL, {"op": "round", "radius": 30}, {"op": "background", "color": "#f2d9a0"}],
    "round": [SMALL, {"op": "round", "radius": 30}],
    "watermark": [
        SMALL,
        {
            "op": "watermark",
            "text": {"text": "© pixmill", "size": 22, "color": "#ffffff"},
            "gravity": "southeast",
            "margin": 8,
        },
    ],
    "watermark-tile": [
        SMALL,
        {
            "op": "watermark",
            "text": {"text": "PROOF", "size": 20, "color": "#ffffff"},
            "opacity": 0.5,
            "tile": True,
            "margin": 14,
        },
    ],
    **{f"filter-{name}": [SMALL, {"op": "filter", "name": name}] for name in FILTERS},
}

_HEAD = """\
# Imaging: what a recipe can say

Written by `tools/imaging_docs.py` from the operations themselves; each picture was made by the engine from the recipe
beside it.

A recipe is a list of outputs, all made from one decode of the source. An output is a list of operations, done in their
order, and an encoding. The source is turned upright by its EXIF orientation first, and converted to sRGB.

A side that a recipe may ask for ends at 16,384 pixels: that is fixed, and no setting. How many pixels a picture may
have in all is one, `PIXMILL_MAX_OUTPUT_PIXELS`.

```json
{"outputs": [{"name": "web", "operations": [{"op": "resize", "width": 800, "height": 600}], "format": "webp"}]}
```

## Operations

| recipe | picture |
| --- | --- |
"""


def make_pictures() -> None:
    """One WebP for each example, a few kB each. More examples than a job may have outputs, hence a render each."""
    source = jpeg(photo(400, 300, seed=5), quality=92)
    PICTURES.mkdir(exist_ok=True)
    fonts = engine().fonts
    for name, steps in EXAMPLES.items():
        recipe = parse_recipe({"outputs": [{"name": name, "operations": steps, "format": "webp", "quality": 75}]})
        assets = Assets(nothing_to_read, engine().loader, engine().limits, fonts)
        (output,) = render(source, recipe, engine().loader, engine().limits, assets).outputs()
        (PICTURES / f"{name}.webp").write_bytes(output.data)


def text() -> str:
    """The document, without looking at the pictures."""
    rows = [
        f"| `{json.dumps(steps, ensure_ascii=False)}` | ![{name}](imaging/{name}.webp) |\n"
        for name, steps in EXAMPLES.items()
    ]
    operations = [_section(f"`{op}`", kind) for op, kind in OPERATIONS.items()]
    filters = [_section(f"`filter`, name `{name}`", kind) for name, kind in FILTERS.items()]
    output = "## Output\n\n" + _fields(OUTPUT_SCHEMA)
    return "".join([_HEAD, *rows, "\n## Fields of operations\n", *operations, *filters, "\n", output])


def _section(title: str, kind: type[Operation]) -> str:
    parts = (f"### {title}", explained(kind), _fields(kind.SCHEMA))
    return "\n" + "\n\n".join(part for part in parts if part)


def explained(kind: type[Operation]) -> str:
    """The docstring of an operation, for those who write recipes."""
    words = inspect.getdoc(kind) or ""
    # A dataclass without a docstring has its signature for one.
    return "" if words.startswith(f"{kind.__name__}(") else words.replace("``", "`")


def _fields(schema: dict[str, Any]) -> str:
    if not schema:
        return "No fields.\n"
    columns = ["field", "value", "default"]
    if any("description" in field for field in schema.values()):
        columns.append("meaning")
    rows = [
        [f"`{name}`", _kind(field), _default(field), field.get("description", "")][: len(columns)]
        for name, field in schema.items()
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in [columns, ["---"] * len(columns), *rows])


def _kind(field: dict[str, Any]) -> str:
    options = field.get("oneOf") or field.get("anyOf")
    if options:
        return " or ".join(_kind(option) for option in options)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "object":
        return "object of " + ", ".join(f"`{name}`" for name in field["properties"])
    bounds = [f"{word} {field[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in field]
    return " ".join([str(field.get("type", "")), *bounds])


def _default(field: dict[str, Any]) -> str:
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


if __name__ == "__main__":
    make_pictures()
    TARGET.write_text(text())
    sys.stdout.write(f"wrote {TARGET} and {len(EXAMPLES)} pictures\n")
