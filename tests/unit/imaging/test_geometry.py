"""Sizes: whole pixels, never none, never too many, and the aspect that the source has."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixmill_imaging.domain.geometry import MAX_SIDE, Box, Size, fit, rescaled
from pixmill_imaging.domain.placement import needed, placement
from pixmill_shared.domain.recipe import Resize, ResizeMode

sides = st.integers(1, 70_000)
wanted = st.integers(1, MAX_SIDE)
sources = st.builds(Size, sides, sides)
resizes = st.one_of(
    st.builds(Resize, wanted, st.none() | wanted, st.just(ResizeMode.FIT), st.booleans()),
    st.builds(Resize, st.none(), wanted, st.just(ResizeMode.FIT), st.booleans()),
    st.builds(Resize, wanted, wanted, st.sampled_from(ResizeMode), st.booleans()),
)


@pytest.mark.parametrize(
    ("source", "resize", "size"),
    [
        ((4000, 3000), Resize(800, 600), (800, 600)),
        ((3000, 4000), Resize(800, 600), (450, 600)),
        ((4000, 3000), Resize(800, None), (800, 600)),
        ((4000, 3000), Resize(None, 600), (800, 600)),
        ((400, 300), Resize(800, 600), (400, 300)),
        ((400, 300), Resize(800, 600, enlarge=True), (800, 600)),
        ((10_000, 1), Resize(100, 100), (100, 1)),
        ((1, 1000), Resize(16_384, None, enlarge=True), (16, 16_384)),
        ((4000, 3000), Resize(600, 600, ResizeMode.FILL), (600, 600)),
        ((400, 1000), Resize(800, 600, ResizeMode.FILL), (400, 600)),
        ((400, 1000), Resize(800, 600, ResizeMode.FILL, enlarge=True), (800, 600)),
        ((10, 10), Resize(800, 600, ResizeMode.EXACT), (800, 600)),
    ],
)
def test_known_sizes(source, resize, size):
    assert placement(Size(*source), resize).size == size


def test_fill_cuts_evenly_on_both_sides():
    assert placement(Size(4000, 3000), Resize(600, 600, ResizeMode.FILL)).box == Box(500, 0, 3500, 3000)
    assert placement(Size(3000, 4000), Resize(600, 600, ResizeMode.FILL)).box == Box(0, 500, 3000, 3500)


@given(sources, resizes)
@example(Size(1, 70_000), Resize(16_384, None, enlarge=True))
def test_result_has_pixels_and_stays_inside_the_box(source, resize):
    box, size = placement(source, resize)
    assert all(isinstance(side, int) for side in size)
    assert 1 <= size.width <= (resize.width or MAX_SIDE)
    assert 1 <= size.height <= (resize.height or MAX_SIDE)
    assert 0 <= box.left < box.right <= source.width
    assert 0 <= box.upper < box.lower <= source.height


@given(sources, st.builds(Size, wanted, wanted), st.booleans())
def test_fit_keeps_the_aspect_within_half_a_pixel_and_touches_the_box(source, box, enlarge):
    size = fit(source, box, enlarge)
    if size == source:
        return
    scale = min(Fraction(box.width, source.width), Fraction(box.height, source.height))
    for side, original in zip(size, source, strict=True):
        exact = original * scale
        assert abs(side - exact) <= Fraction(1, 2) or (side == 1 and exact < 1)
    assert size.width == box.width or size.height == box.height


@given(sources, st.builds(Size, wanted, wanted))
def test_fit_never_enlarges_unasked(source, box):
    size = fit(source, box)
    assert size.width <= source.width
    assert size.height <= source.height


@given(sources, wanted, wanted)
def test_fill_shows_a_part_of_the_boxs_aspect(source, width, height):
    box, _ = placement(source, Resize(width, height, ResizeMode.FILL, enlarge=True))
    part = Size(round(box.right - box.left), round(box.lower - box.upper))
    assert part.width == source.width or part.height == source.height
    exact = min(Fraction(source.width, width), Fraction(source.height, height))
    assert abs(part.width - width * exact) <= Fraction(1, 2) or part.width == 1
    assert abs(part.height - height * exact) <= Fraction(1, 2) or part.height == 1


@given(sources, resizes)
def test_what_is_loaded_is_enough_and_no_more_than_there_is(source, resize):
    loaded = needed(source, placement(source, resize))
    assert 1 <= loaded.width <= source.width
    assert 1 <= loaded.height <= source.height
    box, size = placement(source, resize)
    part = rescaled(box, source, loaded)
    assert 0 <= part.left < part.right <= loaded.width
    assert 0 <= part.upper < part.lower <= loaded.height
    if loaded.width < source.width:
        assert part.right - part.left >= size.width - 1e-6
    if loaded.height < source.height:
        assert part.lower - part.upper >= size.height - 1e-6
