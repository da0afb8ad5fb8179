"""Lanes on a real database: which queue's rows get the next free place."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from pixmill_api.inline.lanes import End, Lane
from pixmill_api.inline.outlet import LocalOutlet
from pixmill_shared.contract.queues import RENDER_QUEUES, QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs
from pixmill_shared.settings.work import WorkSettings


class Idle:
    """A place in which nothing is ever done."""

    def run(self, message: Message) -> End:
        raise AssertionError(message)

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing runs."""


class Silent:
    """Nobody keeps a book."""

    def began(self, message: Message) -> None:
        raise AssertionError(message)

    def ended(self, message: Message, end: End) -> None:
        raise AssertionError(message, end)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dispatch_marks CASCADE"))
    yield database
    database.dispose()


def submit(database: Database, queue: QueueName, count: int) -> None:
    for _ in range(count):
        with database.session_scope() as session:
            jobs.insert(session, jobs.NewJob("p", Stage.RENDER, queue, 1, {}, {"outputs": []}))


def test_high_goes_first_and_low_is_not_starved(database: Database) -> None:
    outlet = LocalOutlet([Lane("render", tuple(RENDER_QUEUES.values()), 1, Idle, Silent())], WorkSettings(), None)
    submit(database, QueueName.IMAGING_LOW, 2)
    submit(database, QueueName.IMAGING_HIGH, 12)
    taken: list[str] = []
    for _ in range(8):
        for kind in KINDS:
            with database.session_scope() as session:
                taken += [row.queue for row in outlet.take(session, kind)]
    high, low = QueueName.IMAGING_HIGH.value, QueueName.IMAGING_LOW.value
    assert taken == [high, high, high, low] * 2


def test_queue_without_a_lane_is_left_alone(database: Database) -> None:
    outlet = LocalOutlet([Lane("fetch", (QueueName.FETCH,), 4, Idle, Silent())], WorkSettings(), None)
    submit(database, QueueName.IMAGING, 2)
    with database.session_scope() as session:
        assert [outlet.take(session, kind) for kind in KINDS] == [[] for _ in KINDS]
        assert session.scalar(text("SELECT count(*) FROM jobs WHERE dispatched_at IS NOT NULL")) == 0
