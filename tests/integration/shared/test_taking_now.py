"""What a process takes that works on it at once: as much as it has places for, and, where it must, what is small."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from tests.integration.shared.test_dispatch_plans import indexes, read, whole_tables

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs, lanes

QUEUES = (QueueName.IMAGING_HIGH, QueueName.IMAGING, QueueName.IMAGING_LOW)
WINDOW = 4
LARGEST = 1_000


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=4)
    yield database
    database.dispose()


@pytest.fixture(autouse=True)
def _no_rows(database: Database) -> None:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dispatch_marks CASCADE"))


def submit(database: Database, size: int | None = None, queue: QueueName = QueueName.IMAGING) -> uuid.UUID:
    source = {} if size is None else {"bytes": size}
    with database.session_scope() as session:
        return jobs.insert(session, jobs.NewJob("p", Stage.RENDER, queue, 1, source, {"outputs": []}))


def take_now(database: Database, places: int, largest: int | None = None) -> list[uuid.UUID]:
    with database.session_scope() as session:
        return [row.id for row in jobs.WORK.take_now(session, QUEUES, places, WINDOW, largest)]


def take_due(database: Database) -> list[uuid.UUID]:
    with database.session_scope() as session:
        return [row.id for row in jobs.WORK.take_due(session, QUEUES, WINDOW)]


def claim(database: Database, *ids: uuid.UUID) -> None:
    with database.session_scope() as session:
        for each in ids:
            assert jobs.claim(session, each, Stage.RENDER, "w", 600)


def test_places_bound_what_is_taken_over_all_queues_together(database: Database) -> None:
    low = submit(database, queue=QueueName.IMAGING_LOW)
    normal = [submit(database) for _ in range(3)]
    high = submit(database, queue=QueueName.IMAGING_HIGH)
    assert take_now(database, 2) == [high, normal[0]]
    assert take_now(database, 2) == normal[1:]
    assert take_now(database, 2) == [low]
    assert take_now(database, 2) == []


def test_messages_that_lie_at_the_broker_take_no_place_away(database: Database) -> None:
    published = [submit(database) for _ in range(WINDOW)]
    assert take_due(database) == published
    fresh = submit(database)
    assert take_due(database) == []
    assert take_now(database, 1) == [fresh]


def test_large_rows_are_passed_by_and_keep_their_place(database: Database) -> None:
    large = [submit(database, LARGEST + 1) for _ in range(3)]
    small = [submit(database, LARGEST), submit(database)]
    assert take_now(database, 4, LARGEST) == small
    claim(database, *small)
    assert take_now(database, 4, LARGEST) == []
    # No recovery was needed to find them: the pass of a dispatcher begins where it would have begun.
    assert take_due(database) == large


def test_rows_after_many_large_ones_wait_for_the_broker(database: Database) -> None:
    """A bound of what one pass looks at: a backlog of large rows is not read each time."""
    sql = """
        INSERT INTO jobs (id, project, owner, stage, queue, source, recipe, turn)
        SELECT gen_random_uuid(), 'p', 'project:p', 'render', 'imaging', '{"bytes": 1001}', '{}', n
        FROM generate_series(1, :rows) AS n
    """
    with database.session_scope() as session:
        session.execute(text(sql), {"rows": 999})
    within = submit(database, 1)
    beyond = submit(database, 1)
    assert take_now(database, 4, LARGEST) == [within]
    claim(database, within)
    assert take_now(database, 4, LARGEST) == [beyond]


def test_rows_that_somebody_has_locked_are_passed_by(database: Database) -> None:
    first, second = submit(database, 1), submit(database, 1)
    with database.session_scope() as session:
        session.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": first})
        assert take_now(database, 1, LARGEST) == [second]
    assert take_now(database, 1) == [first]


def test_queue_that_somebody_else_publishes_into_is_left_alone(database: Database) -> None:
    submit(database)
    high = submit(database, queue=QueueName.IMAGING_HIGH)
    with database.session_scope() as session:
        assert lanes.lock(session, [QueueName.IMAGING]) == [QueueName.IMAGING]
        assert take_now(database, 2) == [high]


@pytest.mark.parametrize("largest", [None, LARGEST], ids=["any size", "small ones"])
def test_a_backlog_is_not_read_for_a_few_places(database: Database, largest: int | None) -> None:
    sql = """
        INSERT INTO jobs (id, project, owner, stage, queue, source, recipe, turn)
        SELECT gen_random_uuid(), 'p', 'project:p', 'render', 'imaging', '{"bytes": 5000}', '{}', n
        FROM generate_series(1, 50000) AS n
    """
    for _ in range(7):  # so many times the statement is planned for its values, then once and for all
        take_now(database, 2, largest)
    with database.session_scope() as session:
        session.execute(text(sql))
    # One connection and its plans: those that were made while the table was empty.
    with database.session_scope() as session:
        lanes.lock(session, list(QUEUES))
        jobs.WORK._take_now.run(session, list(QUEUES), 16, 0, largest)
        literal = "{" + ",".join(QUEUES) + "}"
        name = jobs.WORK._take_now._name
        bound = "NULL" if largest is None else str(largest)
        (found,) = session.scalar(
            text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}('{literal}', 16, 2, {bound})")
        ) or [{}]
        plan = found["Plan"]
        assert plan["Actual Rows"] == (2 if largest is None else 0)
        assert "ix_jobs_ready" in indexes(plan)
        assert whole_tables(plan) == []
        assert read(plan) < 5_000
        session.rollback()
