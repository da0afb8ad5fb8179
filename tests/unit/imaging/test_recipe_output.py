"""The fields of an output that say how it is encoded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.recipe import (
    RECIPE_SCHEMA,
    Effort,
    MetadataPolicy,
    Output,
    OutputFormat,
    RecipeError,
    parse_recipe,
    recipe_hash,
)


def read(**fields):
    return parse_recipe({"outputs": [{"name": "web", **fields}]}).outputs[0]


def pointers(**fields):
    with pytest.raises(RecipeError) as caught:
        read(**fields)
    return [error.pointer.removeprefix("/outputs/0") for error in caught.value.errors]


def test_fields_that_are_not_given_leave_the_canonical_form_of_old_recipes():
    assert read(format="webp").canonical() == {
        "name": "web",
        "operations": [],
        "format": "webp",
        "quality": 80,
        "metadata": "strip",
    }


def test_every_field_is_read():
    output = read(
        format="auto",
        formats=["webp", "avif"],
        quality=70,
        min_ssim=0.9,
        max_bytes=20_000,
        effort="small",
        metadata="keep_copyright",
    )
    assert output == Output(
        "web",
        format=OutputFormat.AUTO,
        quality=70,
        metadata=MetadataPolicy.KEEP_COPYRIGHT,
        max_bytes=20_000,
        formats=(OutputFormat.WEBP, OutputFormat.AVIF),
        min_ssim=0.9,
        effort=Effort.SMALL,
    )
    assert read(format="webp", lossless=True).lossless


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"max_bytes": 0}, "/max_bytes"),
        ({"max_bytes": 1e5}, "/max_bytes"),
        ({"format": "auto", "min_ssim": 1.01}, "/min_ssim"),
        ({"format": "auto", "formats": []}, "/formats"),
        ({"format": "auto", "formats": "webp"}, "/formats"),
        ({"format": "auto", "formats": ["webp", "webp"]}, "/formats"),
        ({"format": "auto", "formats": ["auto"]}, "/formats"),
        ({"format": "auto", "formats": ["source"]}, "/formats"),
        ({"format": "auto", "formats": [{}]}, "/formats"),
        ({"format": "webp", "formats": ["webp"]}, "/formats"),
        ({"format": "webp", "min_ssim": 0.9}, "/min_ssim"),
        ({"format": "jpeg", "lossless": True}, "/lossless"),
        ({"format": "auto", "lossless": True}, "/lossless"),
        ({"lossless": True}, "/lossless"),
        ({"effort": "most"}, "/effort"),
        ({"metadata": "all"}, "/metadata"),
    ],
)
def test_what_does_not_go_together_is_refused_where_it_is_wrong(fields, pointer):
    assert pointers(**fields) == [pointer]


def test_two_ways_to_ask_for_the_same_bytes_are_one_recipe():
    def hash_of(**fields):
        return recipe_hash(read(**fields))

    assert hash_of(format="png", lossless=True) == hash_of(format="png")
    assert hash_of(format="auto", min_ssim=0.95) == hash_of(format="auto")
    assert hash_of(format="auto", formats=["jpeg", "avif"]) == hash_of(format="auto", formats=["avif", "jpeg"])
    assert hash_of(format="jpeg", effort="fast") == hash_of(format="jpeg")
    assert hash_of(format="jpeg", effort="small") != hash_of(format="jpeg")
    assert hash_of(format="jpeg", max_bytes=9) != hash_of(format="jpeg")
    assert hash_of(format="webp", lossless=True) != hash_of(format="webp")


def test_schema_names_every_field_of_an_output():
    properties = RECIPE_SCHEMA["properties"]["outputs"]["items"]["properties"]
    full = read(format="auto", formats=["webp"], quality=1, max_bytes=9, effort="small").canonical()
    assert {*full, *read(format="webp", lossless=True).canonical()} <= set(properties)


@given(
    st.fixed_dictionaries(
        {"format": st.sampled_from(OutputFormat)},
        optional={
            "quality": st.integers(1, 100),
            "max_bytes": st.integers(1, 10**9),
            "formats": st.lists(st.sampled_from(["jpeg", "png", "webp", "avif", "gif"]), min_size=1, unique=True),
            "min_ssim": st.floats(0, 1),
            "lossless": st.booleans(),
            "effort": st.sampled_from(Effort),
            "metadata": st.sampled_from(MetadataPolicy),
        },
    )
)
def test_what_is_read_survives_a_round_trip(fields):
    try:
        output = read(**fields)
    except RecipeError:
        return
    again = parse_recipe({"outputs": [json.loads(json.dumps(output.canonical()))]}).outputs[0]
    assert again == output


LONG = {"op": "resize", "width": 16_384, "height": 300}
EXACT = {**LONG, "mode": "exact"}


@pytest.mark.parametrize(
    "operations",
    [
        [EXACT],
        [{**LONG, "mode": "pad"}],
        [{**LONG, "mode": "fill", "enlarge": True}],
        [{"op": "resize", "width": 4096, "height": 75, "dpr": 4, "mode": "exact"}],
        [EXACT, {"op": "filter", "name": "sepia"}, {"op": "flip"}],
    ],
)
def test_webp_of_a_side_that_it_cannot_have_is_refused_at_that_side(operations):
    assert pointers(format="webp", operations=operations) == ["/operations/0/width"]
    assert read(format="avif", operations=operations)


@pytest.mark.parametrize(
    "operations",
    [
        [LONG],
        [{**LONG, "mode": "fill"}],
        [{**EXACT, "width": 16_383}],
        [EXACT, {"op": "crop", "width": 100, "height": 100}],
        [EXACT, {"op": "resize", "width": 100}],
        [],
    ],
)
def test_webp_that_may_come_out_smaller_is_taken(operations):
    assert read(format="webp", operations=operations)
