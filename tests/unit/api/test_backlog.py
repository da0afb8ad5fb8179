"""How seldom the backlog is counted, and what is refused between two counts."""

from typing import Any

import pytest

from pixmill_api.errors import QueueFull
from pixmill_api.service.backlog import Backlog

SESSION: Any = None


class World:
    """A clock, and a queue whose counting takes ``takes`` seconds."""

    def __init__(self, waiting: int, takes: float) -> None:
        self.now, self.waiting, self.takes, self.counts = 1_000.0, waiting, takes, 0

    def count(self, _session: Any, limit: int) -> int:
        self.counts += 1
        self.now += self.takes
        return min(self.waiting, limit)

    def backlog(self, limit: int) -> Backlog:
        return Backlog(limit, self.count, lambda: self.now)


def admitted(backlog: Backlog) -> int:
    """How many are taken until one is refused."""
    for taken in range(1_000):
        try:
            backlog.admit(SESSION)
        except QueueFull:
            return taken
    raise AssertionError("there is no limit")


def test_what_was_taken_since_the_count_is_added() -> None:
    assert admitted(World(waiting=93, takes=0.01).backlog(100)) == 7
    assert admitted(World(waiting=500, takes=0.01).backlog(100)) == 0


@pytest.mark.parametrize(
    ("takes", "good_for"),
    [(0.0001, 1.0), (0.05, 5.0), (0.1, 10.0), (3.0, 60.0)],
    ids=["quick", "half a million rows", "a million rows", "busy server"],
)
def test_count_is_repeated_the_less_often_the_longer_it_takes(takes: float, good_for: float) -> None:
    world = World(waiting=0, takes=takes)
    backlog = world.backlog(1_000_000)
    backlog.admit(SESSION)
    counted_at = world.now
    world.now = counted_at + good_for * 0.99
    for _ in range(100):
        backlog.admit(SESSION)
    assert world.counts == 1
    world.now = counted_at + good_for * 1.01
    backlog.admit(SESSION)
    assert world.counts == 2


def test_refusal_says_when_it_is_counted_again() -> None:
    world = World(waiting=10, takes=0.0625)
    backlog = world.backlog(10)
    with pytest.raises(QueueFull) as refused:
        backlog.admit(SESSION)
    assert refused.value.retry_after == 7
    world.now += 5
    with pytest.raises(QueueFull) as refused:
        backlog.admit(SESSION)
    assert refused.value.retry_after == 2
    world.now += 2
    world.waiting = 9
    assert admitted(backlog) == 1


def test_early_refusal_counts_nothing_and_forgets_old_counts() -> None:
    world = World(waiting=10, takes=0.001)
    backlog = world.backlog(10)
    backlog.refuse_early()
    with pytest.raises(QueueFull):
        backlog.admit(SESSION)
    with pytest.raises(QueueFull):
        backlog.refuse_early()
    world.now += 2
    backlog.refuse_early()
    assert world.counts == 1


def test_count_that_failed_is_tried_again_after_a_while_and_stops_nobody_until_then() -> None:
    world = World(waiting=10, takes=0.25)
    failing = [False, True]

    def count(session: Any, limit: int) -> int:
        found = world.count(session, limit)
        if failing.pop():
            raise TimeoutError
        return found

    backlog = Backlog(10, count, lambda: world.now)
    with pytest.raises(TimeoutError):
        backlog.admit(SESSION)
    backlog.admit(SESSION)
    assert world.counts == 1
    world.now += 26
    with pytest.raises(QueueFull):
        backlog.admit(SESSION)
    assert world.counts == 2
