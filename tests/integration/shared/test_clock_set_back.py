"""The database's clock is set back: nobody waits an hour for a dead worker, or for a lost message."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs

LEASE = 60.0


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs CASCADE"))
    yield database
    database.dispose()


def submitted(database: Database) -> jobs.ClaimedJob:
    """A job that was published and claimed."""
    new = jobs.NewJob("default", Stage.RENDER, QueueName.IMAGING, 1, {"upload_id": "x"}, {}, source_key="x")
    with database.session_scope() as session:
        job_id = jobs.insert(session, new)
    with database.session_scope() as session:
        assert [row.id for row in jobs.WORK.take_due(session, [QueueName.IMAGING], 8)] == [job_id]
    with database.session_scope() as session:
        job = jobs.claim(session, job_id, Stage.RENDER, "dead", LEASE)
    assert job is not None
    return job


def shift(database: Database, seconds: int) -> None:
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET lease_until = lease_until + make_interval(secs => :by)"), {"by": seconds})


def remaining(database: Database) -> float:
    """Seconds of the lease that are left."""
    with database.session_scope() as session:
        return float(session.scalar(text("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM jobs")))


def test_lease_of_an_hour_becomes_one_that_workers_have(database: Database) -> None:
    submitted(database)
    shift(database, 3600)
    with database.session_scope() as session:
        assert jobs.WORK.shorten_leases(session, LEASE) == 1
        assert jobs.WORK.expire_leases(session, 3) == 0
    assert 0 < remaining(database) <= LEASE
    shift(database, -100)
    with database.session_scope() as session:
        assert jobs.WORK.expire_leases(session, 3) == 1


def test_leases_that_a_worker_may_have_are_left_alone(database: Database) -> None:
    submitted(database)
    shift(database, 500)
    with database.session_scope() as session:
        assert jobs.WORK.shorten_leases(session, LEASE) == 0
    assert remaining(database) > 400


def test_message_that_was_sent_in_the_future_is_sent_again(database: Database) -> None:
    new = jobs.NewJob("default", Stage.RENDER, QueueName.IMAGING, 1, {"upload_id": "x"}, {}, source_key="x")
    with database.session_scope() as session:
        jobs.insert(session, new)
    queues = [QueueName.IMAGING]
    with database.session_scope() as session:
        assert len(jobs.WORK.take_due(session, queues, 8)) == 1
        assert jobs.WORK.forget_lost(session, queues, 30, 8) == 0
        session.execute(text("UPDATE jobs SET dispatched_at = dispatched_at + interval '1 hour'"))
        assert jobs.WORK.forget_lost(session, queues, 30, 8) == 1
        assert len(jobs.WORK.take_due(session, queues, 8)) == 1
