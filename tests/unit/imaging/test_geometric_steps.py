"""The steps that move pixels, as JSON: what is read, what is refused, and one canonical form for one meaning."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.recipe import (
    TRANSPARENT,
    WHITE,
    Background,
    Colour,
    Corner,
    Crop,
    Direction,
    Flip,
    Focus,
    Gravity,
    Limits,
    RecipeError,
    Resize,
    ResizeMode,
    Rotate,
    Round,
    Smart,
    Trim,
    parse_recipe,
)


def read(limits=Limits(), **operation):  # noqa: B008 - frozen
    recipe = parse_recipe({"outputs": [{"name": "a", "operations": [operation]}]}, limits)
    (step,) = recipe.outputs[0].operations
    return step


def pointers(limits=Limits(), **operation):  # noqa: B008 - frozen
    with pytest.raises(RecipeError) as caught:
        read(limits, **operation)
    return [error.pointer.removeprefix("/outputs/0/operations/0") for error in caught.value.errors]


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        ({"op": "crop", "x": 1, "y": 2, "width": 3, "height": 4}, Crop(3, 4, Corner(1, 2))),
        ({"op": "crop", "width": 3, "height": 4}, Crop(3, 4, Gravity.CENTER)),
        ({"op": "crop", "width": 3, "height": 4, "gravity": "smart"}, Crop(3, 4, Smart.SMART)),
        ({"op": "crop", "width": 3, "height": 4, "focus": {"x": 0, "y": 1}}, Crop(3, 4, Focus(0.0, 1.0))),
        ({"op": "rotate", "angle": -90}, Rotate(270.0)),
        ({"op": "rotate", "angle": 360}, Rotate(0.0)),
        ({"op": "rotate", "angle": -1e-17}, Rotate(0.0)),
        ({"op": "rotate", "angle": 12.3456, "background": "navy"}, Rotate(12.346, Colour(0, 0, 128))),
        ({"op": "flip"}, Flip(Direction.HORIZONTAL)),
        ({"op": "flip", "direction": "vertical"}, Flip(Direction.VERTICAL)),
        ({"op": "trim"}, Trim(10)),
        ({"op": "trim", "threshold": 0}, Trim(0)),
        ({"op": "background"}, Background(WHITE)),
        ({"op": "background", "color": "#1a2B3c"}, Background(Colour(26, 43, 60))),
        ({"op": "round"}, Round(None, TRANSPARENT)),
        ({"op": "round", "radius": "max"}, Round(None)),
        ({"op": "round", "radius": 8, "background": "#f00"}, Round(8, Colour(255, 0, 0))),
        (
            {"op": "resize", "width": 8, "height": 6, "mode": "fill", "gravity": "southeast"},
            Resize(8, 6, ResizeMode.FILL, anchor=Gravity.SOUTHEAST),
        ),
        (
            {"op": "resize", "width": 8, "height": 6, "mode": "fill", "focus": {"x": 0.25, "y": -0.0}},
            Resize(8, 6, ResizeMode.FILL, anchor=Focus(0.25, 0.0)),
        ),
        (
            {"op": "resize", "width": 8, "height": 6, "mode": "pad", "background": "transparent", "gravity": "west"},
            Resize(8, 6, ResizeMode.PAD, anchor=Gravity.WEST, background=TRANSPARENT),
        ),
        ({"op": "resize", "width": 101, "dpr": 1.5}, Resize(152, None)),
        ({"op": "resize", "width": 4096, "height": 1, "mode": "exact", "dpr": 4}, Resize(16_384, 4, ResizeMode.EXACT)),
    ],
)
def test_step_is_read(operation, step):
    assert read(**operation) == step


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        ({"op": "crop"}, [""]),
        ({"op": "crop", "width": 3}, [""]),
        ({"op": "crop", "width": 0, "height": 4}, ["/width"]),
        ({"op": "crop", "width": 3, "height": 4, "x": 1}, [""]),
        ({"op": "crop", "width": 3, "height": 4, "x": -1, "y": 0}, ["/x"]),
        ({"op": "crop", "width": 3, "height": 4, "x": 0, "y": 10**30}, ["/y"]),
        ({"op": "crop", "width": 3, "height": 4, "x": 0, "y": 0, "gravity": "north"}, [""]),
        ({"op": "crop", "width": 3, "height": 4, "gravity": "up"}, ["/gravity"]),
        ({"op": "crop", "width": 3, "height": 4, "gravity": ["smart"]}, ["/gravity"]),
        ({"op": "crop", "width": 3, "height": 4, "gravity": "smart", "focus": {"x": 0, "y": 0}}, [""]),
        ({"op": "crop", "width": 3, "height": 4, "focus": {}}, ["/focus/x", "/focus/y"]),
        ({"op": "crop", "width": 3, "height": 4, "focus": [0, 0]}, ["/focus"]),
        ({"op": "crop", "width": 3, "height": 4, "focus": {"x": 1.01, "y": float("nan")}}, ["/focus/x", "/focus/y"]),
        ({"op": "crop", "width": 3, "height": 4, "focus": {"x": 1, "y": 0, "z": 0}}, ["/focus/z"]),
        ({"op": "rotate"}, ["/angle"]),
        ({"op": "rotate", "angle": "90"}, ["/angle"]),
        ({"op": "rotate", "angle": 360.5}, ["/angle"]),
        ({"op": "rotate", "angle": 1e300}, ["/angle"]),
        ({"op": "rotate", "angle": float("nan")}, ["/angle"]),
        ({"op": "rotate", "angle": float("-inf")}, ["/angle"]),
        ({"op": "rotate", "angle": 5, "background": "#12345"}, ["/background"]),
        ({"op": "rotate", "angle": 5, "background": "rgb(1,2,3)"}, ["/background"]),
        ({"op": "rotate", "angle": 5, "background": 0}, ["/background"]),
        ({"op": "rotate", "angle": 5, "background": "#fff\n"}, ["/background"]),
        ({"op": "flip", "direction": "both"}, ["/direction"]),
        ({"op": "trim", "threshold": 255}, ["/threshold"]),
        ({"op": "trim", "threshold": 1.5}, ["/threshold"]),
        ({"op": "background", "colour": "red"}, ["/colour"]),
        ({"op": "round", "radius": 0}, ["/radius"]),
        ({"op": "round", "radius": "all"}, ["/radius"]),
        ({"op": "round", "radius": 8193}, ["/radius"]),
        ({"op": "resize", "width": 8, "height": 8, "gravity": "north"}, ["/gravity"]),
        ({"op": "resize", "width": 8, "height": 8, "mode": "exact", "focus": {"x": 0, "y": 0}}, ["/focus"]),
        ({"op": "resize", "width": 8, "height": 8, "mode": "fill", "background": "red"}, ["/background"]),
        ({"op": "resize", "width": 8, "height": 8, "mode": "pad", "gravity": "smart"}, ["/gravity"]),
        ({"op": "resize", "width": 8, "height": 8, "mode": "pad", "focus": {"x": 0, "y": 0}}, ["/focus"]),
        ({"op": "resize", "width": 8, "mode": "pad"}, [""]),
        ({"op": "resize", "width": 8, "dpr": 0.5}, ["/dpr"]),
        ({"op": "resize", "width": 8, "dpr": 5}, ["/dpr"]),
        ({"op": "resize", "width": 8, "dpr": float("nan")}, ["/dpr"]),
        ({"op": "resize", "width": 8192, "height": 8193, "dpr": 2}, ["/dpr"]),
    ],
)
def test_wrong_step_is_refused_where_it_is_wrong(operation, wrong):
    assert pointers(**operation) == wrong


def test_device_pixels_count_against_the_callers_limit():
    limits = Limits(max_dimension=100)
    assert read(limits, op="resize", width=50, dpr=2) == Resize(100, None)
    assert pointers(limits, op="resize", width=51, dpr=2) == ["/dpr"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"op": "rotate", "angle": -90, "background": "red"}, {"op": "rotate", "angle": 270.0}),
        ({"op": "background", "color": "#FFF"}, {"op": "background"}),
        ({"op": "background", "color": "grey"}, {"op": "background", "color": "#808080ff"}),
        ({"op": "crop", "width": 3, "height": 4, "gravity": "center"}, {"op": "crop", "width": 3, "height": 4}),
        ({"op": "resize", "width": 8, "dpr": 2}, {"op": "resize", "width": 16}),
        ({"op": "round", "radius": "max", "background": "transparent"}, {"op": "round"}),
    ],
)
def test_steps_that_mean_the_same_have_one_canonical_form(one, other):
    assert json.dumps(read(**one).canonical()) == json.dumps(read(**other).canonical())


def test_canonical_form_of_what_was_there_before_is_what_it_was():
    """Renditions are addressed by it: more options must not make old ones again."""
    for mode in ("fit", "fill", "exact"):
        step = {"op": "resize", "width": 8, "height": 6, "mode": mode, "enlarge": False}
        assert read(**step).canonical() == step


channel = st.integers(0, 255)
colours = st.builds(Colour, channel, channel, channel, channel)
fractions = st.floats(0, 1)
focuses = st.builds(Focus, fractions, fractions)
gravities = st.sampled_from(Gravity)
sides = st.integers(1, 16_384)
steps = st.one_of(
    st.builds(Crop, sides, sides, st.one_of(gravities, st.sampled_from(Smart), focuses)),
    st.builds(Crop, sides, sides, st.builds(Corner, st.integers(0, 10**9), st.integers(0, 10**9))),
    st.builds(Resize, sides, sides, st.just(ResizeMode.FILL), st.booleans(), focuses | gravities),
    st.builds(Resize, sides, sides, st.just(ResizeMode.PAD), st.booleans(), gravities, colours),
    st.builds(Rotate, st.floats(0.001, 359.999).map(lambda angle: round(angle, 3)).filter(lambda a: a % 90), colours),
    st.builds(Flip, st.sampled_from(Direction)),
    st.builds(Trim, st.integers(0, 254)),
    st.builds(Background, colours),
    st.builds(Round, st.none() | st.integers(1, 8192), colours),
)


@given(steps)
def test_canonical_form_is_read_as_the_same_step(step):
    written = step.canonical()
    assert read(**json.loads(json.dumps(written))) == step
    assert read(**written).canonical() == written


@given(colours)
def test_colour_is_read_as_it_is_written(colour):
    assert Colour.parse(str(colour)) == colour
    assert len(str(colour)) == (7 if colour.alpha == 255 else 9)


@pytest.mark.parametrize(
    "text", ["", "#", "#12", "#12345", "#1234567", "#ggg", "White", "#fff ", "fff", "＃fff", "#١٢٣"]
)
def test_what_is_no_colour_is_none(text):
    assert Colour.parse(text) is None
