"""The search for a quality: exact where it promises, bounded always."""

from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.quality import highest_that_fits, lowest_that_reaches


class Encoder:
    """Gives sizes that grow with the quality, and counts what it was asked."""

    def __init__(self, first: int, growth: int = 10) -> None:
        self.asked: list[int] = []
        self._first = first
        self._growth = growth

    def __call__(self, quality: int) -> int:
        self.asked.append(quality)
        return self._first + self._growth * quality


@given(st.integers(1, 100), st.integers(0, 1_200))
def test_highest_quality_that_fits_is_found_in_nine_tries(most, limit):
    encoder = Encoder(100)
    tried = highest_that_fits(encoder, most, lambda size: size <= limit)
    assert tried.made == 100 + 10 * tried.quality
    assert tried.quality == max(1, min(most, (limit - 100) // 10))
    assert len(encoder.asked) <= 9


def test_what_fits_at_once_is_made_once():
    encoder = Encoder(0)
    assert highest_that_fits(encoder, 80, lambda size: size <= 800).quality == 80
    assert lowest_that_reaches(encoder, 80, lambda size: size >= 800).quality == 80
    assert encoder.asked == [80, 80]


@given(st.integers(1, 100), st.integers(0, 1_200))
def test_quality_goes_up_to_the_likeness_that_is_asked_for_in_five_tries(least, floor):
    encoder = Encoder(0)
    tried = lowest_that_reaches(encoder, least, lambda size: size >= floor)
    assert len(encoder.asked) <= 5
    assert tried.quality >= least
    best = max(least, -(-floor // 10))
    if best > 100:
        assert tried.quality == 100
    else:
        assert best <= tried.quality <= best + (100 - least) / 8 + 1
