"""RECIPE_SCHEMA says the same as the parser, also of fields that go together or do not."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pixmill_shared.domain.recipe import RECIPE_SCHEMA, RecipeError, parse_recipe

UPLOAD = "01890a5d-ac96-774b-bcce-b302099a8057"
BOX = {"op": "resize", "width": 2, "height": 1}
POINT = {"x": 0, "y": 1}
PART = {"op": "crop", "width": 2, "height": 1}
TEXT = {"op": "watermark", "text": {"text": "x"}}
IMAGE = {"op": "watermark", "image": {"upload_id": UPLOAD}}

RIGHT: list[dict[str, Any]] = [
    {"op": "resize", "width": 1},
    {"op": "resize", "height": 1, "mode": "fit"},
    *({**BOX, "mode": mode} for mode in ("fit", "fill", "exact", "pad")),
    {**BOX, "mode": "fill", "gravity": "smart"},
    {**BOX, "mode": "fill", "focus": POINT},
    {**BOX, "mode": "pad", "gravity": "north", "background": "red"},
    PART,
    {**PART, "gravity": "smart"},
    {**PART, "x": 0, "y": 0},
    {**PART, "focus": POINT},
    {"op": "rotate", "angle": 3},
    TEXT,
    {**IMAGE, "scale": 1},
    {"op": "watermark", "text": {"text": " \n äx\n"}},
]
WRONG: list[dict[str, Any]] = [
    {"op": "resize"},
    {"op": "resize", "width": 1, "mode": "fill"},
    {**BOX, "background": "red"},
    {**BOX, "gravity": "north"},
    {**BOX, "mode": "exact", "focus": POINT},
    {**BOX, "mode": "fill", "gravity": "north", "focus": POINT},
    {**BOX, "mode": "fill", "background": "red"},
    {**BOX, "mode": "pad", "gravity": "smart"},
    {**BOX, "mode": "pad", "focus": POINT},
    {"op": "crop", "width": 1},
    {**PART, "x": 0},
    {**PART, "x": 0, "y": 0, "gravity": "north"},
    {**PART, "x": 0, "y": 0, "focus": POINT},
    {**PART, "gravity": "north", "focus": POINT},
    {"op": "rotate"},
    {"op": "watermark"},
    {**TEXT, "scale": 1},
    {**TEXT, **IMAGE},
    {"op": "watermark", "text": {"text": " \n"}},
    {"op": "watermark", "text": {"text": "a\tb"}},
]
RIGHT_OUTPUTS: list[dict[str, Any]] = [
    {"format": "auto"},
    {"format": "auto", "formats": ["gif"], "min_ssim": 0.5, "lossless": False},
    {"format": "png", "lossless": True},
    {"format": "webp", "lossless": True},
    {"lossless": False},
    *({"key": key} for key in ("{job_id}/{name}.{ext}", "a", "...", "..a/.b", "日本/a b{sha256}")),
]
WRONG_OUTPUTS: list[dict[str, Any]] = [
    {"formats": ["gif"]},
    {"format": "jpeg", "min_ssim": 1},
    {"format": "auto", "lossless": True},
    {"lossless": True},
    {"format": "avif", "lossless": True},
    *({"key": key} for key in ("", "/a", "a/", "a//b", ".", "a/..", "{x}", "a{b", "a}b", "a%", "a?", "a\\b", "a\nb")),
]


def verdicts(output: dict[str, Any]) -> tuple[bool, bool]:
    """Of the schema, and of the parser."""
    recipe = {"outputs": [{"name": "web", **output}]}
    try:
        parse_recipe(recipe)
    except RecipeError:
        return Draft202012Validator(RECIPE_SCHEMA).is_valid(recipe), False
    return Draft202012Validator(RECIPE_SCHEMA).is_valid(recipe), True


@pytest.mark.parametrize("output", [*({"operations": [step]} for step in RIGHT), *RIGHT_OUTPUTS], ids=str)
def test_what_goes_together_is_taken_by_both(output: dict[str, Any]) -> None:
    assert verdicts(output) == (True, True)


@pytest.mark.parametrize("output", [*({"operations": [step]} for step in WRONG), *WRONG_OUTPUTS], ids=str)
def test_what_does_not_go_together_is_refused_by_both(output: dict[str, Any]) -> None:
    assert verdicts(output) == (False, False)


def test_ways_to_write_an_operation_exclude_each_other() -> None:
    steps = RECIPE_SCHEMA["properties"]["outputs"]["items"]["properties"]["operations"]["items"]["oneOf"]
    assert len({step["title"] for step in steps}) == len(steps)
    for right in RIGHT:
        assert sum(Draft202012Validator(step).is_valid(right) for step in steps) == 1, right
