"""What a cancellation writes, and what it leaves alone, on a real Postgres."""

import threading
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Delivery, Job, JobEvent, RenditionReservation
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import CancelOutcome, Stage
from pixmill_shared.repositories import jobs, reservations


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=2, max_overflow=4)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs CASCADE"))
    yield database
    database.dispose()


def submit(database: Database) -> uuid.UUID:
    new = jobs.NewJob(
        project="mine",
        stage=Stage.RENDER,
        queue=QueueName.IMAGING,
        priority=1,
        source={"upload_id": "u"},
        source_key="uploads/u",
        recipe={"outputs": []},
        webhook_url="https://example.com/hook",
    )
    with database.session_scope() as session:
        return jobs.insert(session, new)


def claim(database: Database, job_id: uuid.UUID) -> jobs.ClaimedJob:
    with database.session_scope() as session:
        job = jobs.claim(session, job_id, Stage.RENDER, "w", 60)
    assert job is not None
    return job


def cancel(database: Database, job_id: uuid.UUID, project: str = "mine") -> CancelOutcome:
    with database.session_scope() as session:
        return jobs.cancel(session, job_id, project)


def told(database: Database) -> list[tuple[str, int]]:
    """Types of the events, each with how many deliveries tell of it."""
    with database.session_scope() as session:
        events = session.scalars(select(JobEvent).order_by(JobEvent.sequence)).all()
        deliveries = session.scalars(select(Delivery)).all()
    return [(event.type, sum(each.event_id == event.id for each in deliveries)) for event in events]


def test_queued_job_is_canceled_with_one_event_and_one_delivery(database: Database) -> None:
    job_id = submit(database)
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET dispatched_at = now(), run_at = now()"))
    assert cancel(database, job_id) is CancelOutcome.CANCELED
    with database.session_scope() as session:
        job = session.get_one(Job, job_id)
    assert (job.status, job.stage, job.error, job.attempts) == ("canceled", None, None, 0)
    assert (job.run_at, job.dispatched_at, job.lease_until) == (None, None, None)
    assert job.finished_at is not None
    assert told(database) == [("job.canceled", 1)]


def test_job_is_canceled_once(database: Database) -> None:
    job_id = submit(database)
    assert cancel(database, job_id) is CancelOutcome.CANCELED
    assert cancel(database, job_id) is CancelOutcome.ALREADY_CANCELED
    assert told(database) == [("job.canceled", 1)]


def test_nobody_cancels_what_is_not_theirs_or_not_there(database: Database) -> None:
    job_id = submit(database)
    assert cancel(database, job_id, "theirs") is CancelOutcome.NOT_FOUND
    assert cancel(database, new_id()) is CancelOutcome.NOT_FOUND
    claim(database, job_id)
    assert told(database) == []


def test_what_a_worker_writes_after_the_cancellation_changes_nothing(database: Database) -> None:
    job_id = submit(database)
    job = claim(database, job_id)
    assert cancel(database, job_id) is CancelOutcome.CANCELED
    with database.session_scope() as session:
        assert jobs.complete(session, job, found={}, sha256="s", made=[]) is None
        assert not jobs.fail(session, job.id, job.fence, {})
        assert not jobs.retry(session, job, 1, {})
        assert not jobs.wait(session, job, "k")
        assert jobs.claim(session, job_id, Stage.RENDER, "w", 60) is None
    assert told(database) == [("job.canceled", 1)]


def test_finished_job_stays_as_it_is(database: Database) -> None:
    job_id = submit(database)
    job = claim(database, job_id)
    with database.session_scope() as session:
        assert jobs.fail(session, job.id, job.fence, {"code": "undecodable"})
    assert cancel(database, job_id) is CancelOutcome.FINISHED
    assert told(database) == [("job.failed", 1)]


def test_who_waits_for_a_canceled_job_is_due_at_once(database: Database) -> None:
    maker, waiter = submit(database), submit(database)
    making, waiting = claim(database, maker), claim(database, waiter)
    with database.session_scope() as session:
        assert reservations.reserve(session, making.id, making.fence, ["k"]) == {"k"}
    with database.session_scope() as session:
        assert jobs.wait(session, waiting, "k")
    assert cancel(database, maker) is CancelOutcome.CANCELED
    with database.session_scope() as session:
        assert session.scalars(select(RenditionReservation)).all() == []
        row = session.get_one(Job, waiter)
        assert (row.status, row.run_at, row.waits_for) == ("queued", None, None)


def finish(database: Database, job: jobs.ClaimedJob, barrier: threading.Barrier, ended: list[str]) -> None:
    barrier.wait(60)
    with database.session_scope() as session:
        if jobs.complete(session, job, found={}, sha256="s", made=[]) is not None:
            ended.append("completed")


def test_cancellation_and_completion_at_once_end_the_job_once(database: Database) -> None:
    for _ in range(10):
        job_id = submit(database)
        barrier, ended = threading.Barrier(2), list[str]()
        thread = threading.Thread(target=finish, args=(database, claim(database, job_id), barrier, ended))
        thread.start()
        barrier.wait(60)
        outcome = cancel(database, job_id)
        thread.join(60)
        assert not thread.is_alive()
        with database.session_scope() as session:
            status = session.get_one(Job, job_id).status
            events = session.scalars(select(JobEvent.type).where(JobEvent.job_id == job_id)).all()
        assert events == [f"job.{status}"]
        assert (outcome, ended) in (
            (CancelOutcome.CANCELED, []),
            (CancelOutcome.FINISHED, ["completed"]),
        )
