"""The filters of a recipe: names, defaults, bounds, canonical form."""

import pytest

from pixmill_shared.domain.recipe import (
    FILTERS,
    RECIPE_SCHEMA,
    RecipeError,
    parse_recipe,
    process_recipe,
    recipe_hash,
)

#: By name: the parameter, its default, what is least and most.
PARAMETERS = {
    "blur": ("sigma", 2.0, 0.1, 250.0),
    "sharpen": ("amount", 0.6, 0.01, 10.0),
    "sepia": ("amount", 1.0, 0.0, 1.0),
    "invert": ("amount", 1.0, 0.0, 1.0),
    "brightness": ("amount", 1.2, 0.0, 10.0),
    "contrast": ("amount", 1.2, 0.0, 10.0),
    "saturation": ("amount", 1.2, 0.0, 10.0),
    "autocontrast": ("cutoff", 1.0, 0.0, 49.0),
}


def recipe_of(**step):
    return parse_recipe({"outputs": [{"name": "a", "operations": [{"op": "filter", **step}]}]})


def step_of(**step):
    return recipe_of(**step).outputs[0].operations[0]


def test_every_filter_is_known_with_what_it_takes():
    assert set(FILTERS) == {"grayscale", *PARAMETERS}
    for name, (parameter, default, least, most) in PARAMETERS.items():
        assert {parameter: {"type": "number", "minimum": least, "maximum": most, "default": default}} == FILTERS[
            name
        ].SCHEMA


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_has_its_default_and_its_bounds(name):
    parameter, default, least, most = PARAMETERS[name]
    assert step_of(name=name).canonical() == {"op": "filter", "name": name, parameter: default}
    for value in (least, most):
        assert step_of(name=name, **{parameter: value}).canonical()[parameter] == value
    for value in (least - 0.01, most + 0.01, "1", None, True, [1]):
        with pytest.raises(RecipeError) as caught:
            step_of(name=name, **{parameter: value})
        assert [error.pointer for error in caught.value.errors] == [f"/outputs/0/operations/0/{parameter}"]


@pytest.mark.parametrize("name", FILTERS)
def test_short_form_takes_every_filter_with_its_default(name):
    (output,) = process_recipe(10, 20, name).outputs
    assert output.operations[1] == step_of(name=name)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_is_part_of_the_address(name):
    parameter, default, _, most = PARAMETERS[name]
    plain, spelled, other = (
        recipe_hash(recipe_of(name=name, **more).outputs[0])
        for more in ({}, {parameter: default}, {parameter: (default + most) / 2 + 0.001 if default < most else 0.5})
    )
    assert plain == spelled != other


def test_the_two_zeros_are_one():
    assert recipe_hash(recipe_of(name="invert", amount=-0.0).outputs[0]) == recipe_hash(
        recipe_of(name="invert", amount=0).outputs[0]
    )


def test_schema_describes_every_filter():
    steps = RECIPE_SCHEMA["properties"]["outputs"]["items"]["properties"]["operations"]["items"]["oneOf"]
    named = {step["properties"]["name"]["const"] for step in steps if "name" in step["properties"]}
    assert named == set(FILTERS)
