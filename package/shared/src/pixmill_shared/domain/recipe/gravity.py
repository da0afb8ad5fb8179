"""Where in a picture a part of it lies: at an edge, around a point, or where it is interesting."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pixmill_shared.domain.recipe.fields import Fields


class Gravity(StrEnum):
    CENTER = "center"
    NORTH = "north"
    NORTHEAST = "northeast"
    EAST = "east"
    SOUTHEAST = "southeast"
    SOUTH = "south"
    SOUTHWEST = "southwest"
    WEST = "west"
    NORTHWEST = "northwest"


class Smart(StrEnum):
    """The interesting part, found in the pixels."""

    SMART = "smart"


@dataclass(frozen=True)
class Focus:
    """The point to keep in the middle, as far as the edges let: fractions of width and height, from 0 to 1, of the
    picture after autorotation and the steps before.
    """

    x: float
    y: float


#: What a part of a picture is placed by.
Anchor = Gravity | Smart | Focus

_FRACTION: Final[dict[str, Any]] = {"type": "number", "minimum": 0, "maximum": 1}

#: JSON Schema of a gravity that does not look at the pixels.
GRAVITY_SCHEMA: Final[dict[str, Any]] = {"enum": list(Gravity), "default": "center"}

#: JSON Schema of the two fields that ``read_anchor`` reads.
ANCHOR_SCHEMA: Final[dict[str, Any]] = {
    "gravity": {"enum": [*Gravity, *Smart], "default": "center"},
    "focus": {
        "type": "object",
        "additionalProperties": False,
        "required": ["x", "y"],
        "properties": {"x": _FRACTION, "y": _FRACTION},
    },
}


def read_anchor(fields: Fields) -> Anchor:
    """Of ``gravity`` or ``focus``, the centre where both are absent; what is wrong is noted in ``fields``."""
    if fields.given("gravity") and fields.given("focus"):
        fields.fail("must have gravity or focus, not both")
    return _read_focus(fields) if fields.given("focus") else _read_gravity(fields)


def _read_gravity(fields: Fields) -> Gravity | Smart:
    known: dict[object, Gravity | Smart] = {str(gravity): gravity for gravity in (*Gravity, *Smart)}
    value = fields.raw("gravity")
    if isinstance(value, str) and value in known:
        return known[value]
    if fields.given("gravity"):
        fields.fail(f"must be one of {', '.join(map(str, known))}", "gravity")
    return Gravity.CENTER


def _read_focus(fields: Fields) -> Focus | Gravity:
    inner = fields.inner("focus", ("x", "y"))
    if inner is None:
        return Gravity.CENTER
    for key in ("x", "y"):
        if not inner.given(key):
            inner.fail("is missing", key)
    # Of the two zeros of floating point the canonical form has the plain one.
    return Focus(*(abs(inner.number(key, 0.0, 0, 1)) for key in ("x", "y")))


def canonical_anchor(anchor: Anchor) -> dict[str, object]:
    """As JSON; nothing for the centre, which is what no word of it means."""
    if isinstance(anchor, Focus):
        return {"focus": {"x": anchor.x, "y": anchor.y}}
    return {} if anchor is Gravity.CENTER else {"gravity": str(anchor)}
