"""Recipes: strict in, canonical out."""

import contextlib
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pixmill_shared.domain.recipe import (
    Blur,
    Grayscale,
    Limits,
    Output,
    OutputFormat,
    RecipeError,
    Resize,
    Sharpen,
    parse_recipe,
    process_recipe,
    recipe_hash,
)
from pixmill_shared.domain.recipe.sides import too_long


def recipe_of(**output):
    return {"outputs": [{"name": "web", **output}]}


def pointers(document, **options):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(document, **options)
    return [error.pointer for error in caught.value.errors]


def test_example_of_the_documentation_is_read():
    operations = [
        {"op": "resize", "width": 800, "height": 600, "mode": "fit"},
        {"op": "filter", "name": "sharpen", "amount": 0.6},
    ]
    recipe = parse_recipe(recipe_of(operations=operations, format="webp", quality=80, metadata="strip"))
    assert recipe.outputs == (Output("web", (Resize(800, 600), Sharpen(0.6)), OutputFormat.WEBP, 80),)


def test_defaults_are_filled_in():
    recipe = parse_recipe(recipe_of(operations=[{"op": "resize", "width": 8}], format="jpeg"))
    assert recipe.canonical() == recipe_of(
        operations=[{"op": "resize", "width": 8, "mode": "fit", "enlarge": False}],
        format="jpeg",
        quality=80,
        metadata="strip",
    )
    assert parse_recipe(recipe_of(format="avif")).outputs[0].quality == 60
    assert parse_recipe(recipe_of()).outputs[0] == Output("web", (), OutputFormat.SOURCE, None)


def test_all_errors_are_reported_at_once_with_their_pointers():
    document = {
        "extra/key~": 1,
        "outputs": [
            {"name": "Web", "format": "jpg", "quality": 0, "metadata": "all", "colour": 1},
            {"name": "b", "operations": [{"op": "resize"}, {"op": "shear"}, 7, {"op": "filter", "name": "vintage"}]},
            {"name": "b", "operations": [{"op": "resize", "width": True, "height": 16385, "mode": "zoom"}]},
            "no",
        ],
    }
    assert sorted(pointers(document)) == sorted(
        [
            "/extra~1key~0",
            "/outputs/0/name",
            "/outputs/0/format",
            "/outputs/0/quality",
            "/outputs/0/metadata",
            "/outputs/0/colour",
            "/outputs/1/operations/0",
            "/outputs/1/operations/1/op",
            "/outputs/1/operations/2",
            "/outputs/1/operations/3/name",
            "/outputs/2/name",
            "/outputs/2/operations/0/width",
            "/outputs/2/operations/0/height",
            "/outputs/2/operations/0/mode",
            "/outputs/3",
        ]
    )


@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        ({"op": "resize", "width": 0}, "/width"),
        ({"op": "resize", "width": 8.0}, "/width"),
        ({"op": "resize", "width": None, "height": 5}, "/width"),
        ({"op": "resize", "width": 10**400}, "/width"),
        ({"op": "resize", "width": 5, "enlarge": 1}, "/enlarge"),
        ({"op": "resize", "width": 5, "mode": ["fit"]}, "/mode"),
        ({"op": "resize", "width": 5, "mode": "fill"}, ""),
        ({"op": "resize", "height": 5, "mode": "exact"}, ""),
        ({"op": "resize", "width": 5, "quality": 5}, "/quality"),
        ({"op": "filter", "name": "blur", "amount": 1}, "/amount"),
        ({"op": "filter", "name": "blur", "sigma": float("nan")}, "/sigma"),
        ({"op": "filter", "name": "blur", "sigma": float("inf")}, "/sigma"),
        ({"op": "filter", "name": "blur", "sigma": 10**400}, "/sigma"),
        ({"op": "filter", "name": "sharpen", "amount": "1"}, "/amount"),
        ({"op": "filter", "name": "sharpen", "amount": True}, "/amount"),
        ({"op": "filter"}, "/name"),
        ({"op": {}}, "/op"),
        ({}, "/op"),
    ],
)
def test_wrong_operation_is_refused_where_it_is_wrong(operation, pointer):
    assert pointers(recipe_of(operations=[operation])) == [f"/outputs/0/operations/0{pointer}"]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        (None, ""),
        ({}, "/outputs"),
        ({"outputs": []}, "/outputs"),
        ({"outputs": {}}, "/outputs"),
        ({"outputs": [{"name": f"n{i}"} for i in range(21)]}, "/outputs"),
        ({"outputs": [{}]}, "/outputs/0/name"),
        (recipe_of(name="a" * 65), "/outputs/0/name"),
        (recipe_of(name="-a"), "/outputs/0/name"),
        (recipe_of(name="a\n"), "/outputs/0/name"),
        (recipe_of(name="../a"), "/outputs/0/name"),
        (recipe_of(quality=101), "/outputs/0/quality"),
        (recipe_of(quality=True), "/outputs/0/quality"),
        (recipe_of(operations={}), "/outputs/0/operations"),
        (recipe_of(operations=[{"op": "filter", "name": "grayscale"}] * 51), "/outputs/0/operations"),
    ],
)
def test_wrong_document_is_refused_where_it_is_wrong(document, pointer):
    assert pointers(document) == [pointer]


def test_limits_are_the_callers():
    resize = recipe_of(operations=[{"op": "resize", "width": 101}])
    assert pointers(resize, limits=Limits(max_dimension=100)) == ["/outputs/0/operations/0/width"]
    two = {"outputs": [{"name": "a"}, {"name": "b"}]}
    assert pointers(two, limits=Limits(max_outputs=1)) == ["/outputs"]


def test_hash_leaves_out_the_name_and_spells_numbers_one_way():
    def hash_of(name, **output):
        return recipe_hash(parse_recipe({"outputs": [{"name": name, **output}]}).outputs[0])

    blur = [{"op": "filter", "name": "blur", "sigma": 2}]
    assert hash_of("a", operations=blur) == hash_of("b", operations=[{**blur[0], "sigma": 2.0}])
    assert hash_of("a", operations=blur) == hash_of("a", operations=[{"op": "filter", "name": "blur"}])
    assert hash_of("a", format="jpeg") == hash_of("a", format="jpeg", quality=80)
    assert hash_of("a", format="jpeg") != hash_of("a", format="webp")
    assert hash_of("a", format="jpeg", quality=81) != hash_of("a", format="jpeg")


dimensions = st.one_of(st.none(), st.integers(1, 16_384))
sides = st.integers(1, 16_384)
resizes = st.one_of(
    st.builds(Resize, sides, dimensions, st.just("fit"), st.booleans()),
    st.builds(Resize, sides, sides, st.sampled_from(["fill", "exact"]), st.booleans()),
)
operations = st.one_of(
    resizes,
    st.just(Grayscale()),
    st.builds(Blur, st.floats(0.1, 250)),
    st.builds(Sharpen, st.floats(0.01, 10)),
)


@given(st.lists(operations, max_size=5), st.sampled_from(OutputFormat), st.none() | st.integers(1, 100))
def test_canonical_form_survives_a_round_trip(steps, output_format, quality):
    output = Output("a", tuple(steps), output_format, quality)
    # A side of 16,384 pixels, one more than WebP can have, is refused: see the test below.
    assume(not too_long(output))
    written = output.canonical()
    recipe = parse_recipe({"outputs": [json.loads(json.dumps(written))]})
    again = parse_recipe(json.loads(json.dumps(recipe.canonical())))
    assert again == recipe
    assert recipe.outputs[0].canonical()["operations"] == written["operations"]
    assert recipe_hash(again.outputs[0]) == recipe_hash(recipe.outputs[0])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["outputs", "name", "op", "operations", "width", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_recipe_or_a_recipe_error(value):
    with contextlib.suppress(RecipeError):
        recipe = parse_recipe({"outputs": [value]})
        assert recipe.outputs


def test_short_form_makes_one_output_in_the_sources_format():
    recipe = process_recipe()
    assert recipe.outputs == (Output("result", (Resize(800, 600),), OutputFormat.SOURCE),)
    assert process_recipe(10, 20, "blur").outputs[0].operations == (Resize(10, 20), Blur())
    assert process_recipe(10, 20, "sharpen").outputs[0].operations == (Resize(10, 20), Sharpen())
    assert process_recipe(10, 20, "grayscale").outputs[0].operations == (Resize(10, 20), Grayscale())
    assert parse_recipe(recipe.canonical()) == recipe


def test_short_form_names_its_own_fields():
    with pytest.raises(RecipeError) as caught:
        process_recipe(0, "600", "vintage")
    assert [error.pointer for error in caught.value.errors] == ["/width", "/height", "/filter"]
    assert "none, grayscale, blur, sharpen" in caught.value.errors[2].detail


def test_side_that_no_webp_has_is_refused_for_webp_only():
    exact = [{"op": "resize", "width": 10, "height": 16_384, "mode": "exact"}]
    assert pointers(recipe_of(operations=exact, format="webp")) == ["/outputs/0/operations/0/height"]
    assert parse_recipe(recipe_of(operations=[{**exact[0], "height": 16_383}], format="webp")).outputs
    assert parse_recipe(recipe_of(operations=exact, format="png")).outputs
