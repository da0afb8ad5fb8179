"""Where a watermark goes: whole pixels, inside the margins, whatever the sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.overlay import mark_size, repeated, room, spot
from pixmill_shared.domain.recipe import Gravity

sizes = st.builds(Size, st.integers(1, 20_000), st.integers(1, 20_000))
margins = st.integers(0, 16_384)
scales = st.none() | st.floats(0.01, 1)


@pytest.mark.parametrize(
    ("gravity", "expected"),
    [
        ("northwest", (5, 5)),
        ("north", (40, 5)),
        ("northeast", (75, 5)),
        ("west", (5, 25)),
        ("center", (40, 25)),
        ("east", (75, 25)),
        ("southwest", (5, 45)),
        ("south", (40, 45)),
        ("southeast", (75, 45)),
    ],
)
def test_gravity_names_the_edges(gravity, expected):
    assert spot(Size(20, 10), Size(100, 60), Gravity(gravity), 5) == expected


def test_scale_is_of_the_pictures_width_and_keeps_the_aspect():
    assert mark_size(Size(400, 100), Size(1000, 800), 0, 0.2) == (200, 50)
    assert mark_size(Size(40, 10), Size(1000, 800), 0, 0.2) == (200, 50)
    assert mark_size(Size(40, 10), Size(1000, 800), 0, None) == (40, 10)


def test_mark_that_is_too_large_is_scaled_into_the_margins():
    assert mark_size(Size(4000, 1000), Size(100, 100), 10, None) == (80, 20)
    assert mark_size(Size(10, 1000), Size(100, 100), 10, 1) == (1, 80)
    assert mark_size(Size(4000, 4000), Size(100, 100), 1000, None) == (2, 2)


@given(sizes, sizes, margins, scales, st.sampled_from(Gravity))
def test_mark_always_lies_within_the_picture_and_the_margins_it_has_room_for(natural, picture, margin, scale, gravity):
    size = mark_size(natural, picture, margin, scale)
    inner = room(picture, margin)
    assert 1 <= size.width <= inner.width <= picture.width
    assert 1 <= size.height <= inner.height <= picture.height
    left, upper = spot(size, picture, gravity, margin)
    assert (picture.width - inner.width) // 2 <= left <= picture.width - size.width
    assert (picture.height - inner.height) // 2 <= upper <= picture.height - size.height


@given(st.integers(0, 500), st.integers(1, 90), st.integers(1, 500))
def test_repetition_goes_through_its_start_and_leaves_nothing_out(start, period, length):
    places = repeated(start % length, period, length)
    assert places[0] <= 0
    assert places[-1] < length <= places[-1] + period
    assert start % length in places
