"""Rates, and what headers tell of them."""

import pytest

from pixmill_api.domain.rates import Rate, Verdict, headers_of, rate_of, whole_seconds


@pytest.mark.parametrize(
    ("per_minute", "burst", "expected"),
    [
        (6_000, 0, Rate(6_000, 1_000)),
        (60, 0, Rate(60, 10)),
        (30, 0, Rate(30, 10)),
        (5, 0, Rate(5, 5)),
        (1, 0, Rate(1, 1)),
        (6_000, 50, Rate(6_000, 50)),
        (10, 50, Rate(10, 10)),
    ],
)
def test_burst_is_ten_seconds_worth_unless_set_and_never_more_than_a_minutes(
    per_minute: int, burst: int, expected: Rate
) -> None:
    assert rate_of(per_minute, burst) == expected


def test_window_is_the_time_in_which_the_bucket_fills_up() -> None:
    assert (rate_of(6_000, 0).window, rate_of(60, 0).window, rate_of(7, 1).window) == (10, 10, 9)


def test_headers_tell_what_is_left_and_when_all_is_back() -> None:
    assert headers_of(Rate(6_000, 1_000), Verdict(True, 998, 0, 0.02)) == {
        "RateLimit-Policy": '"key";q=1000;w=10',
        "RateLimit": '"key";r=998;t=1',
    }


@pytest.mark.parametrize(("seconds", "told"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (12.0, 12)])
def test_retry_after_is_whole_seconds_and_never_none(seconds: float, told: int) -> None:
    assert whole_seconds(seconds) == told
