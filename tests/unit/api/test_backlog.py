"""How seldom the backlog is counted, and what is refused between two counts."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy.orm import Session

from pixmill_api.errors import QueueFull
from pixmill_api.service.backlog import Backlog


class Transaction:
    """Of a request; nothing is committed here."""

    def __init__(self) -> None:
        self.info: dict[str, list[Callable[[], None]]] = {"pixmill at end": []}

    def end(self) -> None:
        for call in self.info["pixmill at end"]:
            call()


def admit(backlog: Backlog) -> None:
    """One job, committed at once."""
    transaction = Transaction()
    backlog.admit(cast(Session, transaction))
    transaction.end()


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
            admit(backlog)
        except QueueFull:
            return taken
    raise AssertionError("there is no limit")


def test_what_was_taken_since_the_count_is_added() -> None:
    assert admitted(World(waiting=93, takes=0.01).backlog(100)) == 7
    assert admitted(World(waiting=500, takes=0.01).backlog(100)) == 0


def test_what_was_taken_and_is_not_committed_is_added_to_a_count_that_does_not_see_it() -> None:
    world = World(waiting=0, takes=0.001)
    backlog, slow = world.backlog(2), Transaction()
    backlog.admit(cast(Session, slow))
    world.now += 2
    assert admitted(backlog) == 1
    slow.end()
    world.waiting = 1
    world.now += 2
    assert admitted(backlog) == 1


@pytest.mark.parametrize(
    ("takes", "good_for"),
    [(0.0001, 1.0), (0.05, 5.0), (0.1, 10.0), (3.0, 60.0)],
    ids=["quick", "half a million rows", "a million rows", "busy server"],
)
def test_count_is_repeated_the_less_often_the_longer_it_takes(takes: float, good_for: float) -> None:
    world = World(waiting=0, takes=takes)
    backlog = world.backlog(1_000_000)
    admit(backlog)
    counted_at = world.now
    world.now = counted_at + good_for * 0.99
    for _ in range(100):
        admit(backlog)
    assert world.counts == 1
    world.now = counted_at + good_for * 1.01
    admit(backlog)
    assert world.counts == 2


def test_refusal_says_when_it_is_counted_again() -> None:
    world = World(waiting=10, takes=0.0625)
    backlog = world.backlog(10)
    with pytest.raises(QueueFull) as refused:
        admit(backlog)
    assert refused.value.retry_after == 7
    world.now += 5
    with pytest.raises(QueueFull) as refused:
        admit(backlog)
    assert refused.value.retry_after == 2
    world.now += 2
    world.waiting = 9
    assert admitted(backlog) == 1


def test_early_refusal_counts_nothing_and_forgets_old_counts() -> None:
    world = World(waiting=10, takes=0.001)
    backlog = world.backlog(10)
    backlog.refuse_early()
    with pytest.raises(QueueFull):
        admit(backlog)
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
        admit(backlog)
    admit(backlog)
    assert world.counts == 1
    world.now += 26
    with pytest.raises(QueueFull):
        admit(backlog)
    assert world.counts == 2
