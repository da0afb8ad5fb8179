"""Scale to a size."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.colour import COLOUR_SCHEMA, WHITE, Colour, read_colour
from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.gravity import (
    ANCHOR_SCHEMA,
    GRAVITY_SCHEMA,
    Anchor,
    Gravity,
    canonical_anchor,
    read_anchor,
)
from pixmill_shared.domain.recipe.limits import MAX_DIMENSION
from pixmill_shared.domain.recipe.operations.form import Form

_SIDE: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": MAX_DIMENSION}
_MAX_DPR: Final = 4.0
_BOX: Final = ("width", "height", "mode")
_NOWHERE: Final = {"gravity": None, "focus": None}


class ResizeMode(StrEnum):
    FIT = "fit"
    FILL = "fill"
    EXACT = "exact"
    PAD = "pad"


@dataclass(frozen=True)
class Resize:
    """``width`` and ``height`` in pixels after autorotation; fit may leave one out, the other modes have both.

    fit: inside the box. fill: cover the box and cut away what hangs over; ``gravity``, or ``focus`` as fractions of
    both sides, says which part stays. exact: stretch. pad: inside the box, the rest of it painted in ``background``;
    ``gravity`` says where the picture lies. Without ``enlarge`` only exact scales up. ``dpr`` multiplies both sides.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "width": _SIDE,
        "height": _SIDE,
        "mode": {"enum": list(ResizeMode), "default": "fit"},
        "enlarge": {"type": "boolean", "default": False},
        **ANCHOR_SCHEMA,
        "background": {**COLOUR_SCHEMA, "default": "#ffffff"},
        "dpr": {"type": "number", "minimum": 1, "maximum": _MAX_DPR, "default": 1},
    }

    FORMS: ClassVar[tuple[Form, ...]] = (
        Form(
            *("fit", (), {"mode": {"const": "fit", "default": "fit"}, **_NOWHERE, "background": None}),
            also={"anyOf": [{"required": ["width"]}, {"required": ["height"]}]},
        ),
        Form("fill", _BOX, {"mode": {"const": "fill"}, "focus": None, "background": None}),
        Form("fill around a point", (*_BOX, "focus"), {"mode": {"const": "fill"}, "gravity": None, "background": None}),
        Form("exact", _BOX, {"mode": {"const": "exact"}, **_NOWHERE, "background": None}),
        Form("pad", _BOX, {"mode": {"const": "pad"}, "gravity": GRAVITY_SCHEMA, "focus": None}),
    )

    width: int | None
    height: int | None
    mode: ResizeMode = ResizeMode.FIT
    enlarge: bool = False
    anchor: Anchor = Gravity.CENTER
    background: Colour = WHITE

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """``dpr``, device pixels a CSS pixel, multiplies both sides here and is gone."""
        dpr = fields.number("dpr", 1.0, 1.0, _MAX_DPR)
        width, height = (_device_pixels(fields, key, dpr) for key in ("width", "height"))
        mode = fields.choice("mode", ResizeMode.FIT)
        given = sum(fields.given(key) for key in ("width", "height"))
        if given == 0:
            fields.fail("must have width, height or both")
        elif given == 1 and mode is not ResizeMode.FIT:
            fields.fail(f"must have both width and height for mode {mode}")
        anchor = read_anchor(fields)
        _refuse_what_the_mode_ignores(fields, mode, anchor)
        background = read_colour(fields, "background", WHITE)
        return cls(width, height, mode, fields.boolean("enlarge", False), anchor, background)

    def canonical(self) -> dict[str, object]:
        size = {key: value for key, value in (("width", self.width), ("height", self.height)) if value is not None}
        background = {"background": str(self.background)} if self.mode is ResizeMode.PAD else {}
        more = {**canonical_anchor(self.anchor), **background}
        return {"op": "resize", **size, "mode": str(self.mode), "enlarge": self.enlarge, **more}


def _device_pixels(fields: Fields, key: str, dpr: float) -> int | None:
    asked = fields.dimension(key)
    if asked is None:
        return None
    side = int(asked * dpr + 0.5)
    if side > fields.limits.max_dimension:
        fields.fail(f"makes {key} {side}, and {fields.limits.max_dimension} is the limit", "dpr")
    return side


def _refuse_what_the_mode_ignores(fields: Fields, mode: ResizeMode, anchor: Anchor) -> None:
    if mode is not ResizeMode.PAD and fields.given("background"):
        fields.fail("is for mode pad only", "background")
    if mode in (ResizeMode.FIT, ResizeMode.EXACT):
        for key in ("gravity", "focus"):
            if fields.given(key):
                fields.fail("is for modes fill and pad only", key)
    elif mode is ResizeMode.PAD and not isinstance(anchor, Gravity):
        fields.fail("must be an edge, a corner or center for mode pad", "focus" if fields.given("focus") else "gravity")
