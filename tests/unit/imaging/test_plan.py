"""What steps make of a size: whole pixels, never none, where a part lies, and how small a source may be decoded."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.anchoring import anchored
from pixmill_imaging.domain.geometry import MAX_SIDE, Box, Size
from pixmill_imaging.domain.placement import crop_box, placement
from pixmill_imaging.domain.plan import is_whole, rung_above, size_after, size_to_load
from pixmill_imaging.domain.turning import inverse_turn, mirrored_box, turned, turned_box
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import (
    Blur,
    Corner,
    Crop,
    Direction,
    Flip,
    Focus,
    Gravity,
    Resize,
    ResizeMode,
    Rotate,
    Round,
    Smart,
    Trim,
)
from pixmill_shared.errors import PermanentError

sides = st.integers(1, 70_000)
wanted = st.integers(1, MAX_SIDE)
sources = st.builds(Size, sides, sides)
fractions = st.floats(0, 1)
anchors = st.one_of(st.sampled_from([*Gravity, *Smart]), st.builds(Focus, fractions, fractions))
crops = st.one_of(
    st.builds(Crop, wanted, wanted, anchors),
    st.builds(Crop, wanted, wanted, st.builds(Corner, st.integers(0, 80_000), st.integers(0, 80_000))),
)
resizes = st.one_of(
    st.builds(Resize, wanted, st.none() | wanted, st.just(ResizeMode.FIT), st.booleans()),
    st.builds(Resize, wanted, wanted, st.sampled_from(ResizeMode), st.booleans(), anchors),
)
turns = st.builds(Rotate, st.sampled_from([0.0, 90.0, 180.0, 270.0]))
rotations = st.builds(Rotate, st.floats(0, 359.999).map(lambda angle: round(angle, 3)))
any_steps = st.lists(st.one_of(crops, resizes, rotations, turns, st.just(Trim()), st.just(Flip())), max_size=6)


@given(sources, st.data(), anchors)
def test_part_lies_inside_in_whole_pixels_with_its_own_size(whole, data, anchor):
    part = Size(data.draw(st.integers(1, whole.width)), data.draw(st.integers(1, whole.height)))
    box = anchored(whole, part, anchor)
    assert all(isinstance(edge, int) for edge in box)
    assert 0 <= box.left < box.right <= whole.width
    assert 0 <= box.upper < box.lower <= whole.height
    assert box.size == part


@pytest.mark.parametrize(
    ("anchor", "corner"),
    [
        (Gravity.NORTHWEST, (0, 0)),
        (Gravity.NORTH, (30, 0)),
        (Gravity.NORTHEAST, (60, 0)),
        (Gravity.WEST, (0, 15)),
        (Gravity.CENTER, (30, 15)),
        (Gravity.EAST, (60, 15)),
        (Gravity.SOUTHWEST, (0, 30)),
        (Gravity.SOUTH, (30, 30)),
        (Gravity.SOUTHEAST, (60, 30)),
        (Focus(0, 0), (0, 0)),
        (Focus(1, 1), (60, 30)),
        (Focus(0.5, 0.5), (30, 15)),
        (Focus(0.3, 0.8), (10, 30)),
    ],
)
def test_every_anchor_has_its_place(anchor, corner):
    assert anchored(Size(100, 50), Size(40, 20), anchor)[:2] == corner


@given(sources, st.data(), fractions, fractions)
def test_focal_point_is_in_the_part_and_in_its_middle_where_the_edges_let(whole, data, x, y):
    part = Size(data.draw(st.integers(1, whole.width)), data.draw(st.integers(1, whole.height)))
    box = anchored(whole, part, Focus(x, y))
    for point, side, start, end in (
        (x * whole.width, whole.width, box.left, box.right),
        (y * whole.height, whole.height, box.upper, box.lower),
    ):
        assert start - 0.5 <= point <= end + 0.5
        if start > 0 and end < side:
            assert abs((start + end) / 2 - point) <= 0.5 + 1e-6


@given(sources, wanted, wanted, anchors)
def test_fill_has_one_size_wherever_it_is_anchored(source, width, height, anchor):
    for enlarge in (False, True):
        centred = placement(source, Resize(width, height, ResizeMode.FILL, enlarge))
        moved = placement(source, Resize(width, height, ResizeMode.FILL, enlarge, anchor))
        assert moved.size == centred.size
        assert moved.box.size == centred.box.size
        assert moved.box.right <= source.width
        assert moved.box.lower <= source.height


@given(sources, wanted, wanted, st.booleans())
def test_padded_size_is_what_was_asked_for_and_holds_the_picture(source, width, height, enlarge):
    step = Resize(width, height, ResizeMode.PAD, enlarge)
    assert size_after(source, step) == (width, height)
    box, inner = placement(source, step)
    assert box == Box.whole(source)
    assert inner.width <= width
    assert inner.height <= height
    assert enlarge or inner.width <= source.width


@given(sources, crops)
def test_crop_keeps_pixels_of_the_picture_or_is_refused(source, step):
    if isinstance(step.at, Corner) and (step.at.x >= source.width or step.at.y >= source.height):
        with pytest.raises(PermanentError) as caught:
            crop_box(source, step)
        assert caught.value.code is ErrorCode.RECIPE_MISMATCH
        assert f"{source.width}x{source.height}" in caught.value.detail
        return
    box = crop_box(source, step)
    assert 0 <= box.left < box.right <= source.width
    assert 0 <= box.upper < box.lower <= source.height
    assert box.size.width <= step.width
    assert box.size.height <= step.height


def test_crop_beyond_the_edge_is_cut_at_the_edge():
    assert crop_box(Size(100, 50), Crop(60, 60, Corner(70, 10))) == Box(70, 10, 100, 50)
    assert crop_box(Size(100, 50), Crop(200, 20, Gravity.SOUTH)) == Box(0, 30, 100, 50)


@given(sources, rotations)
def test_turned_picture_fits_into_its_new_size_and_no_smaller_one(source, step):
    size = turned(source, step.angle)
    radians = math.radians(step.angle)
    width = abs(source.width * math.cos(radians)) + abs(source.height * math.sin(radians))
    height = abs(source.width * math.sin(radians)) + abs(source.height * math.cos(radians))
    assert all(isinstance(side, int) for side in size)
    assert width - 1e-5 <= size.width < width + 1 + 1e-5
    assert height - 1e-5 <= size.height < height + 1 + 1e-5


@given(sources, st.integers(0, 3))
def test_quarter_turns_are_exact(source, quarters):
    expected = (source.height, source.width) if quarters % 2 else source
    assert turned(source, quarters * 90.0) == expected


@given(sources, st.data(), st.integers(0, 3), st.booleans())
def test_box_moves_with_the_picture_and_comes_back(whole, data, quarters, sideways):
    left, upper = data.draw(st.integers(0, whole.width - 1)), data.draw(st.integers(0, whole.height - 1))
    box = Box(left, upper, whole.width, whole.height)
    there = turned_box(box, whole, quarters)
    size = turned(whole, quarters * 90)
    assert 0 <= there.left < there.right <= size.width
    assert 0 <= there.upper < there.lower <= size.height
    assert turned_box(there, size, -quarters % 4) == box
    assert mirrored_box(mirrored_box(box, whole, sideways), whole, sideways) == box


def test_quarter_turn_is_clockwise_and_a_flip_mirrors():
    corner = Box(0, 0, 10, 20)
    assert turned_box(corner, Size(100, 50), 1) == Box(30, 0, 50, 10)
    assert mirrored_box(corner, Size(100, 50), sideways=True) == Box(90, 0, 100, 20)
    assert mirrored_box(corner, Size(100, 50), sideways=False) == Box(0, 30, 10, 50)


def test_inverse_of_a_turn_finds_the_pixel_that_was_there():
    """Upper right of the result of a quarter turn clockwise is the upper left of what it was."""
    a, b, c, d, e, f = inverse_turn(Size(100, 50), Size(50, 100), 90)
    x, y = 50, 0
    assert (a * x + b * y + c, d * x + e * y + f) == pytest.approx((0, 0), abs=1e-9)


@given(sources, any_steps)
def test_every_step_leaves_pixels(source, steps):
    size = source
    for step in steps:
        try:
            size = size_after(size, step)
        except PermanentError:
            return
        assert all(isinstance(side, int) and side >= 1 for side in size)
        if isinstance(step, Resize):
            assert max(size) <= MAX_SIDE


movable = st.lists(st.one_of(crops, turns, st.builds(Flip, st.sampled_from(Direction))), max_size=4)


@given(sources, movable, resizes)
def test_what_is_loaded_has_a_pixel_for_each_that_is_wanted(source, before, resize):
    """A crop, a turn or a flip before the resize does not make the decoder give too little."""
    shown = source
    try:
        for step in before:
            shown = size_after(shown, step)
    except PermanentError:
        return
    loaded = size_to_load(source, (*before, resize))
    assert 1 <= loaded.width <= source.width
    assert 1 <= loaded.height <= source.height
    sideways = sum(step.quarters for step in before if isinstance(step, Rotate)) % 2 == 1
    box, size = placement(shown, resize)
    part = box.size
    across, down = (1, 0) if sideways else (0, 1)
    for axis, loaded_axis in ((0, across), (1, down)):
        has = Fraction(part[axis] * loaded[loaded_axis], source[loaded_axis])
        assert has >= min(size[axis], part[axis])


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ([Resize(400, 300)], (400, 300)),
        ([Flip(), Rotate(90.0), Resize(300, 400)], (400, 300)),
        ([Rotate(180.0), Resize(400, 300)], (400, 300)),
        # Of a quarter of the picture 400 pixels: 800 of the whole, and a quarter more as the crop may lie between two.
        ([Crop(2000, 1500), Resize(400, 300)], (1001, 751)),
        ([Crop(2000, 1500, Smart.SMART), Resize(400, 300)], (1001, 751)),
        ([Crop(2000, 1500)], (4000, 3000)),
        ([Flip()], (4000, 3000)),
        ([], (4000, 3000)),
        # These look at pixels, or count in them.
        ([Trim(), Resize(400, 300)], (4000, 3000)),
        ([Rotate(45.0), Resize(400, 300)], (4000, 3000)),
        ([Blur(), Resize(400, 300)], (4000, 3000)),
        ([Round(20), Resize(400, 300)], (4000, 3000)),
    ],
)
def test_source_is_decoded_as_small_as_the_steps_let(steps, size):
    assert size_to_load(Size(4000, 3000), steps) == size


@pytest.mark.parametrize(
    ("steps", "whole"),
    [
        ([Resize(400, 300)], True),
        ([Flip(), Rotate(90.0), Resize(400, 300, ResizeMode.FILL), Crop(10, 10)], True),
        ([Crop(2000, 1500), Resize(400, 300)], False),
        ([Flip()], False),
        ([], False),
    ],
)
def test_only_what_is_scaled_as_a_whole_is_worth_a_rung(steps, whole):
    assert is_whole(steps) is whole


@given(sources, st.lists(sources, max_size=8))
def test_rung_above_is_the_smallest_that_is_twice_as_large(size, sizes):
    above = rung_above(size, sizes)
    fitting = [other for other in sizes if other.width >= 2 * size.width and other.height >= 2 * size.height]
    assert (above is None) == (not fitting)
    assert above is None or (above in fitting and above.pixels == min(other.pixels for other in fitting))
