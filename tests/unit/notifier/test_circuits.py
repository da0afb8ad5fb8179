"""When a receiver that does not answer is left alone, and for how long."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from pixmill_notifier.domain.circuits import LONGEST, SHORTEST, Circuit, admits, after_failure, pause, probing

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LEASE = datetime.timedelta(seconds=15)
SECOND = datetime.timedelta(seconds=1)


def failed(times: int, threshold: int = 5) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit = after_failure(circuit, START, threshold, probe=False)
    return circuit


def test_it_stays_closed_below_the_threshold_and_opens_at_it() -> None:
    assert admits(failed(4), START)
    assert failed(5) == Circuit(5, 1, START + SHORTEST)
    assert not admits(failed(5), START + SHORTEST - SECOND)
    assert admits(failed(5), START + SHORTEST)


def test_what_was_on_its_way_when_it_opened_makes_the_wait_no_longer() -> None:
    assert failed(9).retry_at == START + SHORTEST
    assert failed(9).opened == 1


def test_while_a_probe_is_on_its_way_nothing_else_goes() -> None:
    now = START + SHORTEST
    on_its_way = probing(failed(5), now, LEASE)
    assert not admits(on_its_way, now)
    assert admits(on_its_way, now + LEASE), "a probe whose process died is made again"


def test_each_probe_without_an_answer_doubles_the_wait_up_to_ten_minutes() -> None:
    circuit, now, waits = failed(5), START, []
    for _ in range(8):
        assert circuit.retry_at is not None
        waits.append((circuit.retry_at - now).total_seconds())
        now = circuit.retry_at
        circuit = after_failure(probing(circuit, now, LEASE), now, 5, probe=True)
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]


@given(st.integers(1, 10), st.lists(st.tuples(st.booleans(), st.integers(0, 1_000)), max_size=60))
def test_whatever_happens_it_is_open_for_bounded_times_only_and_closed_after_an_answer(
    threshold: int, steps: list[tuple[bool, int]]
) -> None:
    """Only what is admitted is tried; an answer closes it, which is to begin anew."""
    circuit, now, in_a_row = Circuit(), START, 0
    for answered, seconds in steps:
        now += seconds * SECOND
        if not admits(circuit, now):
            assert in_a_row >= threshold, "left alone too early"
            assert circuit.retry_at is not None
            assert circuit.retry_at - now <= LONGEST
            continue
        probe = circuit.retry_at is not None
        if probe:
            circuit = probing(circuit, now, LEASE)
            assert not admits(circuit, now)
        if answered:
            circuit, in_a_row = Circuit(), 0
        else:
            circuit, in_a_row = after_failure(circuit, now, threshold, probe=probe), in_a_row + 1
        assert circuit.failures == in_a_row
        assert admits(circuit, now) == (in_a_row < threshold)


@given(st.integers(1, 1_000_000))
def test_a_wait_is_never_shorter_than_the_one_before(opened: int) -> None:
    assert SHORTEST <= pause(opened) <= pause(opened + 1) <= LONGEST
