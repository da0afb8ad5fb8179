"""When an API takes a broker for gone: not before it has been down for as long as was set, without a break."""

from collections.abc import Iterator

import pytest
from tests.waiting import eventually

from pixmill_api.inline.broker_watch import BrokerWatch

AFTER = 1.2
"""Seconds of the clock of the test, which stands still; looks are every fifth of a second of the machine's."""


class Broker:
    """What the watch is told of: the test says whether it is up, and what time it is."""

    def __init__(self) -> None:
        self.up, self.now = True, 0.0
        self.seen: list[bool] = []
        self.backs = 0
        self.late = 0.0
        self.watch = BrokerWatch(self.check, AFTER, self.back, lambda: self.now)

    def check(self) -> None:
        self.seen.append(self.up)
        late, self.late = self.late, 0.0
        self.now += late
        if not self.up or late:
            raise ConnectionRefusedError

    def back(self) -> None:
        self.backs += 1

    def seen_as(self, up: bool, looks: int = 2) -> None:
        """Returns when it has been looked at so often as it is now; all but the last look have had their effect."""
        self.up = up
        self.seen.clear()
        eventually(lambda: self.seen.count(up) >= looks, 60)


@pytest.fixture
def broker() -> Iterator[Broker]:
    found = Broker()
    found.watch.start()
    yield found
    found.watch.stop()


def test_broker_is_gone_once_it_has_been_down_for_long_enough_and_back_when_it_answers(broker: Broker) -> None:
    broker.seen_as(up=True)
    broker.seen_as(up=False)
    broker.now += AFTER * 0.9
    broker.seen_as(up=False)
    assert not broker.watch.gone.is_set()
    broker.now += AFTER * 0.2
    eventually(broker.watch.gone.is_set, 60)
    assert broker.backs == 0
    broker.up = True
    eventually(lambda: not broker.watch.gone.is_set(), 60)
    eventually(lambda: broker.backs == 1, 60)


def test_broker_that_blinks_is_not_gone_however_often_it_does(broker: Broker) -> None:
    for _ in range(2):
        broker.seen_as(up=False)
        broker.now += AFTER * 0.9
        broker.seen_as(up=True)
        assert not broker.watch.gone.is_set()
    assert broker.backs == 0


def test_single_look_that_fails_is_no_outage_however_long_it_took(broker: Broker) -> None:
    """As the machine stood still, not the broker."""
    broker.late = AFTER * 2
    broker.seen_as(up=True, looks=4)
    assert not broker.watch.gone.is_set()
    assert broker.backs == 0
