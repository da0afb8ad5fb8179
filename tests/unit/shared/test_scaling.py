"""A pool grows with what waits, never beyond its bounds or the machine, and does not swing."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.scaling import Limits, Load, Pool, Reason, decide

LIMITS = Limits(least=2, most=10, queue_threshold=100, oldest=60, pace=5, cool_down=60)
CALM = Load(at=0, backlog=0, oldest=0, cpu=10, memory=10)

percent = st.floats(0, 100)
limits = st.builds(
    lambda least, extra, queue: replace(LIMITS, least=least, most=least + extra, queue_threshold=queue),
    st.integers(1, 4),
    st.integers(0, 12),
    st.integers(1, 1000),
)
loads = st.lists(
    st.tuples(st.floats(0.1, 30), st.integers(0, 3000), st.floats(0, 600), percent, percent), min_size=1, max_size=40
)


def run(pool: Pool, measured: Iterable[Load], bounds: Limits = LIMITS) -> list[tuple[Pool, Reason]]:
    found = []
    for load in measured:
        pool, reason = decide(pool, load, bounds)
        found.append((pool, reason))
    return found


def over_time(steps: Iterable[tuple[float, int, float, float, float]]) -> list[Load]:
    at = 0.0
    found = []
    for wait, backlog, oldest, cpu, memory in steps:
        at += wait
        found.append(Load(at, backlog, oldest, cpu, memory))
    return found


@given(limits, st.integers(1, 40), loads)
def test_size_is_within_its_bounds_whatever_is_measured(
    bounds: Limits, size: int, steps: list[tuple[float, int, float, float, float]]
) -> None:
    assert all(bounds.least <= pool.size <= bounds.most for pool, _ in run(Pool(size), over_time(steps), bounds))


@given(limits, loads)
def test_it_grows_only_when_much_waits_and_memory_is_free_and_cpu_too_unless_it_is_an_emergency(
    bounds: Limits, steps: list[tuple[float, int, float, float, float]]
) -> None:
    before = Pool(bounds.least)
    for load in over_time(steps):
        after, reason = decide(before, load, bounds)
        if after.size > before.size:
            assert load.backlog >= bounds.queue_threshold or load.oldest > bounds.oldest
            assert load.memory < bounds.memory_threshold
            assert load.cpu < bounds.cpu_threshold or load.backlog >= 2 * bounds.queue_threshold
            assert (reason is Reason.EMERGENCY) == (load.backlog >= 2 * bounds.queue_threshold)
            assert reason is Reason.EMERGENCY or after.size == before.size + 1
        before = after


@given(limits, loads)
def test_between_a_step_up_and_a_step_down_lies_the_cool_down(
    bounds: Limits, steps: list[tuple[float, int, float, float, float]]
) -> None:
    before, grown_at, shrunk_at = Pool(bounds.least), float("-inf"), float("-inf")
    for load in over_time(steps):
        after, _ = decide(before, load, bounds)
        if after.size < before.size:
            assert after.size == before.size - 1
            assert load.at - max(grown_at, shrunk_at) >= bounds.cool_down
            shrunk_at = load.at
        elif after.size > before.size:
            grown_at = load.at
        before = after


def test_emergency_grows_to_the_most_at_once_whatever_the_cpu() -> None:
    assert decide(Pool(2, grown_at=0), replace(CALM, at=1, backlog=200, cpu=100), LIMITS) == (
        Pool(10, grown_at=1, busy_at=1),
        Reason.EMERGENCY,
    )


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (replace(CALM, backlog=199, cpu=80), Reason.HELD_BY_CPU),
        (replace(CALM, backlog=199, memory=85), Reason.HELD_BY_MEMORY),
        (replace(CALM, backlog=5_000, memory=85), Reason.HELD_BY_MEMORY),
        (replace(CALM, backlog=99), Reason.STEADY),
    ],
    ids=["cpu", "memory", "memory in an emergency", "little waits"],
)
def test_it_does_not_grow(load: Load, reason: Reason) -> None:
    pool, found = decide(Pool(2), load, LIMITS)
    assert (pool.size, found) == (2, reason)


def test_one_row_that_waits_too_long_is_reason_enough() -> None:
    pool, reason = decide(Pool(2), replace(CALM, backlog=1, oldest=61), LIMITS)
    assert (pool.size, reason) == (3, Reason.BACKLOG)


def test_burst_grows_it_and_calm_brings_it_back_one_by_one() -> None:
    burst = [replace(CALM, at=float(second), backlog=2_000) for second in range(3)]
    calm = [replace(CALM, at=float(second)) for second in range(3, 800)]
    sizes = [pool.size for pool, _ in run(Pool(2), burst + calm)]
    assert sizes[0] == 10
    assert sizes[-1] == 2
    assert sizes == sorted(sizes, reverse=True)
    assert sizes.index(9) == 62
    assert sizes.index(2) == 62 + 7 * 60


def test_what_waits_around_the_threshold_does_not_make_it_swing() -> None:
    swinging = [replace(CALM, at=float(at), backlog=100 if at % 2 else 60) for at in range(600)]
    sizes = [pool.size for pool, _ in run(Pool(2), swinging)]
    assert sizes == sorted(sizes)
