"""Keep a part."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.gravity import ANCHOR_SCHEMA, Anchor, Gravity, canonical_anchor, read_anchor
from pixmill_shared.domain.recipe.limits import MAX_DIMENSION
from pixmill_shared.domain.recipe.operations.form import Form

_SIDE: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": MAX_DIMENSION}
#: No picture is wider; below what 32 bits hold, with room to add a side.
_MOST: Final = 1_000_000_000
_OFFSET: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": _MOST}


@dataclass(frozen=True)
class Corner:
    """The part's upper left corner, in pixels of the picture as it is at this step."""

    x: int
    y: int


@dataclass(frozen=True)
class Crop:
    """In pixels of the picture as it is at this step. ``x`` and ``y`` are the part's upper left corner; instead of them
    ``gravity``, or ``focus`` as fractions of both sides, says where it lies.

    What lies outside of the picture is cut away. A part that has nothing of it fails the job.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {"x": _OFFSET, "y": _OFFSET, "width": _SIDE, "height": _SIDE, **ANCHOR_SCHEMA}
    FORMS: ClassVar[tuple[Form, ...]] = (
        Form("", ("width", "height"), {"x": None, "y": None, "focus": None}),
        Form("from a corner", ("x", "y", "width", "height"), {"gravity": None, "focus": None}),
        Form("around a point", ("width", "height", "focus"), {"x": None, "y": None, "gravity": None}),
    )

    width: int
    height: int
    at: Corner | Anchor = Gravity.CENTER

    @classmethod
    def read(cls, fields: Fields) -> Self:
        width, height = fields.dimension("width"), fields.dimension("height")
        if not (fields.given("width") and fields.given("height")):
            fields.fail("must have width and height")
        return cls(width or 1, height or 1, _read_place(fields))

    def canonical(self) -> dict[str, object]:
        size = {"width": self.width, "height": self.height}
        if isinstance(self.at, Corner):
            return {"op": "crop", "x": self.at.x, "y": self.at.y, **size}
        return {"op": "crop", **size, **canonical_anchor(self.at)}


def _read_place(fields: Fields) -> Corner | Anchor:
    anchor = read_anchor(fields)
    if not (fields.given("x") or fields.given("y")):
        return anchor
    if fields.given("gravity") or fields.given("focus"):
        fields.fail("must have x and y, gravity or focus, and no two of them")
    elif not (fields.given("x") and fields.given("y")):
        fields.fail("must have both x and y, or neither")
    x, y = (fields.integer(key, 0, 0, _MOST) or 0 for key in ("x", "y"))
    return Corner(x, y)
