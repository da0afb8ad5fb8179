"""When the next try is: bounds, jitter, what the other side asked for. No clock: numbers of a seeded generator."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.backoff import SHORTEST, WEBHOOK_SCHEDULE, exponential, scheduled

SEEDS = st.integers(0, 2**32)
ATTEMPTS = st.integers(1, 100)


@given(ATTEMPTS, SEEDS)
def test_wait_of_a_job_grows_within_bounds(attempt: int, seed: int) -> None:
    ceiling = min(2.0 * 4 ** (attempt - 1), 120.0)
    assert SHORTEST <= exponential(attempt, None, random.Random(seed)) <= ceiling


def test_waits_of_jobs_that_failed_together_are_spread() -> None:
    rng = random.Random(7)
    waits = [exponential(3, None, rng) for _ in range(2_000)]
    assert min(waits) < 1
    assert max(waits) > 31
    assert 15 < sum(waits) / len(waits) < 17


@given(ATTEMPTS, st.floats(0, 1e9), SEEDS)
def test_wish_of_the_source_is_a_lower_bound_up_to_ten_minutes(attempt: int, wish: float, seed: int) -> None:
    wait = exponential(attempt, wish, random.Random(seed))
    assert min(wish, 600) <= wait <= max(600.0, 120.0)
    assert wait == max(exponential(attempt, None, random.Random(seed)), min(wish, 600))


@pytest.mark.parametrize("number", range(1, len(WEBHOOK_SCHEDULE) + 1))
def test_wait_of_a_webhook_is_the_schedules_with_a_fifth_of_jitter(number: int) -> None:
    rng = random.Random(number)
    waits = [scheduled(number, WEBHOOK_SCHEDULE, None, rng) or 0 for _ in range(300)]
    planned = WEBHOOK_SCHEDULE[number - 1]
    assert 0.8 * planned <= min(waits) < 0.85 * planned
    assert 1.15 * planned < max(waits) <= 1.2 * planned


@given(st.integers(len(WEBHOOK_SCHEDULE) + 1, 1_000), st.none() | st.floats(0, 1e6))
def test_schedule_that_is_used_up_says_none_whatever_was_asked(attempt: int, wish: float | None) -> None:
    assert scheduled(attempt, WEBHOOK_SCHEDULE, wish, random.Random(1)) is None


@given(st.integers(1, len(WEBHOOK_SCHEDULE)), st.floats(0, 1e9), SEEDS)
def test_wish_of_the_receiver_is_a_lower_bound_up_to_a_day(attempt: int, wish: float, seed: int) -> None:
    wait = scheduled(attempt, WEBHOOK_SCHEDULE, wish, random.Random(seed))
    plain = scheduled(attempt, WEBHOOK_SCHEDULE, None, random.Random(seed))
    assert wait is not None
    assert plain is not None
    assert wait == max(plain, min(wish, 86_400))


def test_schedule_grows_and_lasts_for_two_days() -> None:
    assert list(WEBHOOK_SCHEDULE) == sorted(WEBHOOK_SCHEDULE)
    assert 36 < sum(WEBHOOK_SCHEDULE) / 3600 < 60
