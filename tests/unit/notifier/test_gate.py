"""How many tries a host may have at once."""

import threading

import pytest

from pixmill_notifier.domain.gate import FURTHEST, PATIENCE, Gate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_host_that_hangs_gets_its_share_and_others_go_on() -> None:
    clock = Clock()
    gate = Gate(2, clock)
    assert all(isinstance(gate.enter("dead:1"), int) for _ in range(2))
    clock.now += PATIENCE
    assert isinstance(gate.enter("dead:1"), float)
    assert all(isinstance(gate.enter(f"well:{n}"), int) for n in range(10))


def test_place_that_is_given_back_is_taken_again() -> None:
    clock = Clock()
    gate = Gate(1, clock)
    place = gate.enter("a")
    assert isinstance(place, int)
    clock.now += PATIENCE
    assert isinstance(gate.enter("a"), float)
    gate.leave("a", place)
    assert isinstance(gate.enter("a"), int)


def test_who_waits_for_a_fast_host_gets_the_place_that_becomes_free() -> None:
    gate = Gate(1, Clock())  # its time stands still: patience never ends
    place = gate.enter("a")
    assert isinstance(place, int)
    found: list[int | float] = []
    waiter = threading.Thread(target=lambda: found.append(gate.enter("a")))
    waiter.start()
    while not gate._hosts["a"].left._waiters:  # type: ignore[attr-defined]
        pass
    gate.leave("a", place)
    waiter.join(60)
    assert len(found) == 1
    assert isinstance(found[0], int)
    gate.leave("a", found[0])
    assert not gate._hosts


def test_what_is_put_off_comes_again_one_after_the_other_at_the_pace_of_the_host() -> None:
    clock = Clock()
    gate = Gate(2, clock)
    for _ in range(2):
        gate.enter("slow")
    clock.now += 4.0
    waits = [gate.enter("slow") for _ in range(5)]
    assert waits == pytest.approx([2.0, 4.0, 6.0, 8.0, 10.0])


def test_nothing_is_put_off_for_longer_than_the_bound() -> None:
    clock = Clock()
    gate = Gate(1, clock)
    gate.enter("slow")
    clock.now += 10.0
    assert max(gate.enter("slow") for _ in range(200)) <= FURTHEST


def test_hosts_that_are_idle_are_forgotten() -> None:
    gate = Gate(4, Clock())
    for number in range(1000):
        place = gate.enter(f"host-{number}")
        assert isinstance(place, int)
        gate.leave(f"host-{number}", place)
    assert not gate._hosts


def test_host_is_busy_when_its_places_are_taken_for_longer_than_anybody_waits() -> None:
    clock = Clock()
    gate = Gate(2, clock)
    gate.enter("slow")
    clock.now += 1
    assert gate.busy() == []
    place = gate.enter("slow")
    assert gate.busy() == ["slow"]
    assert gate.delay("slow") == pytest.approx(0.5)
    assert isinstance(place, int)
    gate.leave("slow", place)
    assert gate.busy() == []
