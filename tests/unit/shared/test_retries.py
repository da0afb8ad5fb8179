"""What follows a failure, by what kind it was and how often it was tried."""

import random

from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.backoff import SHORTEST, while_away
from pixmill_shared.domain.retries import Again, Fail, after_failure

TRIES = st.integers(1, 50)
SEEDS = st.integers(0, 1_000)


@given(TRIES, TRIES, st.none() | st.floats(0, 1e6), SEEDS)
def test_permanent_failure_is_neither_tried_again_nor_buried(
    attempts: int, most: int, wish: float | None, seed: int
) -> None:
    verdict = after_failure(
        transient=False, attempts=attempts, max_attempts=most, retry_after=wish, rng=random.Random(seed)
    )
    assert verdict == Fail(buried=False)


@given(TRIES, TRIES, st.none() | st.floats(0, 1e6), SEEDS)
def test_transient_failure_is_tried_until_its_attempts_are_used_up_and_then_buried(
    attempts: int, most: int, wish: float | None, seed: int
) -> None:
    rng = random.Random(seed)
    verdict = after_failure(transient=True, attempts=attempts, max_attempts=most, retry_after=wish, rng=rng)
    if attempts >= most:
        assert verdict == Fail(buried=True)
    else:
        assert isinstance(verdict, Again)
        assert max(SHORTEST, min(wish or 0, 600)) <= verdict.delay <= max(120, min(wish or 0, 600))


@given(TRIES, st.floats(0, 1e6), st.floats(0, 1e6), SEEDS)
def test_outage_costs_no_attempt_until_patience_ends(attempts: int, age: float, patience: float, seed: int) -> None:
    verdict = after_failure(
        transient=True,
        attempts=attempts,
        max_attempts=3,
        retry_after=None,
        rng=random.Random(seed),
        outage=True,
        age=age,
        patience=patience,
    )
    if age < patience:
        assert isinstance(verdict, Again)
        assert not verdict.counted
    elif attempts >= 3:
        assert verdict == Fail(buried=True)
    else:
        assert isinstance(verdict, Again)
        assert verdict.counted


@given(st.floats(0, 1e6), SEEDS)
def test_job_goes_on_within_half_a_minute_of_an_outage_of_any_length(seconds: float, seed: int) -> None:
    assert SHORTEST <= while_away(seconds, random.Random(seed)) <= min(max(seconds / 2, 2), 30)
