"""Claim, advance, finish, recovery: the statements on the hot path, on a real Postgres."""

import datetime
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import Priority, QueueName
from pixmill_shared.contract.requests import REQUESTABLE
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter, Delivery, Job, JobEvent, Output, Rendition, TaskRequest
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.errors import TransientError
from pixmill_shared.repositories import deliveries, jobs, task_requests
from pixmill_shared.service.exhaustion import give_up_job, give_up_task
from pixmill_shared.service.failures import record_task_failure
from pixmill_shared.settings.work import WorkSettings

QUEUES = [queue.value for kind in KINDS for queue in kind.queues]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=16)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, task_requests, dead_letters CASCADE"))
    yield database
    database.dispose()


def new_job(**changes: Any) -> jobs.NewJob:
    values: dict[str, Any] = {
        "project": "default",
        "stage": Stage.RENDER,
        "queue": QueueName.IMAGING,
        "priority": 1,
        "source": {"upload_id": "u"},
        "recipe": {"outputs": []},
        "source_key": "uploads/u",
        "webhook_url": "https://example.com/hook",
        **changes,
    }
    return jobs.NewJob(**values)


def submit(database: Database, **changes: Any) -> uuid.UUID:
    with database.session_scope() as session:
        return jobs.insert(session, new_job(**changes))


def claim(database: Database, job_id: uuid.UUID, stage: Stage = Stage.RENDER, lease: float = 60) -> Any:
    with database.session_scope() as session:
        return jobs.claim(session, job_id, stage, "worker-1", lease)


def made(name: str = "web", key: str = "k1", position: int = 0, **changes: Any) -> dict[str, Any]:
    rendition_id = new_id()
    return {
        "name": name,
        "position": position,
        "cached": False,
        "id": str(rendition_id),
        "key": key,
        "storage_key": f"renditions/{key}/{rendition_id}.webp",
        "recipe_hash": "r",
        "engine": "1/test",
        "format": "webp",
        "media_type": "image/webp",
        "width": 8,
        "height": 6,
        "bytes": 100,
        "sha256": "s",
        "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "dominant_color": "#0cc85a",
        "frames": 3,
        "replaces": None,
        **changes,
    }


def finish(database: Database, job: Any, *outputs: dict[str, Any]) -> list[str] | None:
    with database.session_scope() as session:
        return jobs.complete(session, job, found={"width": 8}, sha256="abc", made=outputs)


def test_claim_happens_once_however_many_workers_try(database: Database) -> None:
    job_id = submit(database)
    won: list[Any] = []
    barrier = threading.Barrier(8)

    def try_it() -> None:
        barrier.wait(60)
        won.append(claim(database, job_id))

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    claimed = [job for job in won if job is not None]
    assert len(won) == 8
    assert [(job.fence, job.attempts) for job in claimed] == [(1, 1)]


def test_claim_of_another_stage_is_refused(database: Database) -> None:
    job_id = submit(database, stage=Stage.FETCH, queue=QueueName.FETCH)
    assert claim(database, job_id, Stage.RENDER) is None
    assert claim(database, job_id, Stage.FETCH) is not None


def test_completion_writes_outputs_event_and_delivery_at_once(database: Database) -> None:
    job_id = submit(database)
    job = claim(database, job_id)
    kept = finish(database, job, made("web", "k1"), made("thumb", "k2", 1))
    assert kept is not None
    assert len(kept) == 2
    with database.session_scope() as session:
        row = session.get_one(Job, job_id)
        assert (row.status, row.progress, row.stage, row.source["width"]) == ("completed", 100, None, 8)
        assert session.scalars(select(Output.name).order_by(Output.position)).all() == ["web", "thumb"]
        facts = select(Rendition.thumbhash, Rendition.dominant_color, Rendition.frames)
        assert set(session.execute(facts).all()) == {("3OcRJYB4d3h/iIeHeEh3eIhw+j2w", "#0cc85a", 3)}
        event = session.scalars(select(JobEvent)).one()
        delivery = session.scalars(select(Delivery)).one()
        assert (event.type, event.sequence, delivery.event_id) == ("job.completed", 3, event.id)
        assert (delivery.url, delivery.queue) == ("https://example.com/hook", "notifier")


def test_two_outputs_with_one_content_share_a_rendition(database: Database) -> None:
    job = claim(database, submit(database))
    kept = finish(database, job, made("a", "same"), made("b", "same", 1))
    assert kept is not None
    assert len(kept) == 1
    with database.session_scope() as session:
        assert len(session.scalars(select(Output)).all()) == 2
        assert len(session.scalars(select(Rendition)).all()) == 1


def test_rendition_that_exists_is_kept_and_the_late_one_is_not(database: Database) -> None:
    first = made("web", "k")
    assert finish(database, claim(database, submit(database)), first) == [first["storage_key"]]
    assert finish(database, claim(database, submit(database)), made("web", "k")) == [first["storage_key"]]


def test_rendition_whose_object_is_missing_is_replaced(database: Database) -> None:
    first = made("web", "k")
    finish(database, claim(database, submit(database)), first)
    second = made("web", "k", replaces=first["storage_key"])
    assert finish(database, claim(database, submit(database)), second) == [second["storage_key"]]


def test_late_finish_of_a_lost_claim_writes_nothing(database: Database) -> None:
    job_id = submit(database)
    slow = claim(database, job_id, lease=0.001)
    with database.session_scope() as session:
        session.execute(text("SELECT pg_sleep(0.01)"))
        assert jobs.WORK.expire_leases(session, max_attempts=3) == 1
    fast = claim(database, job_id)
    assert fast.fence == slow.fence + 1
    assert finish(database, fast, made()) is not None
    assert finish(database, slow, made("late", "other")) is None
    with database.session_scope() as session:
        assert jobs.retry(session, slow, 1, {}) is False
        assert jobs.fail(session, job_id, slow.fence, {}) is False
        assert session.scalars(select(Rendition.key)).all() == ["k1"]
        assert len(session.scalars(select(JobEvent)).all()) == 1


def test_advance_queues_the_next_stage_with_fresh_attempts(database: Database) -> None:
    job_id = submit(database, stage=Stage.FETCH, queue=QueueName.FETCH, source={"url": "https://x/y"})
    job = claim(database, job_id, Stage.FETCH)
    with database.session_scope() as session:
        assert jobs.advance(
            session,
            job,
            stage=Stage.RENDER,
            queue=QueueName.IMAGING_HIGH,
            source_key="sources/x",
            source_sha256="abc",
            found={"bytes": 3},
            progress=30,
        )
    rendering = claim(database, job_id)
    assert (rendering.attempts, rendering.fence, rendering.source_key) == (1, 2, "sources/x")
    assert rendering.source == {"url": "https://x/y", "bytes": 3}


def test_retry_waits_for_its_time(database: Database) -> None:
    job_id = submit(database)
    job = claim(database, job_id)
    with database.session_scope() as session:
        assert jobs.retry(session, job, 60, {"code": "source_timeout"})
    assert claim(database, job_id) is None
    with database.session_scope() as session:
        jobs.WORK.ripen(session)
        assert jobs.WORK.take_due(session, QUEUES, 10) == []
        session.execute(text("UPDATE jobs SET run_at = clock_timestamp()"))
        jobs.WORK.ripen(session)
        assert [row.id for row in jobs.WORK.take_due(session, QUEUES, 10)] == [job_id]
    assert claim(database, job_id).attempts == 2


def test_window_bounds_what_is_published(database: Database) -> None:
    ids = [submit(database) for _ in range(5)]
    high = submit(database, queue=QueueName.IMAGING_HIGH, priority=0)
    with database.session_scope() as session:
        taken = jobs.WORK.take_due(session, QUEUES, 3)
    assert sorted(row.id for row in taken) == sorted([*ids[:3], high])
    claim(database, ids[0])
    with database.session_scope() as session:
        assert [row.id for row in jobs.WORK.take_due(session, QUEUES, 3)] == [ids[3]]


def test_message_that_nobody_claimed_is_due_again(database: Database) -> None:
    job_id = submit(database)
    with database.session_scope() as session:
        jobs.WORK.take_due(session, QUEUES, 10)
    with database.session_scope() as session:
        assert jobs.WORK.forget_lost(session, QUEUES, 60, 10) == 0
        assert jobs.WORK.forget_lost(session, QUEUES, 0.0001, 10) == 1
        assert [row.id for row in jobs.WORK.take_due(session, QUEUES, 10)] == [job_id]


def test_task_that_raised_once_and_then_died_each_time_leaves_what_it_raised_in_the_letter(database: Database) -> None:
    wanted = next(each for each in REQUESTABLE if each.task is TaskName.RECORD_HEARTBEAT)
    with database.session_scope() as session:
        made = task_requests.insert(session, wanted, {}, project="p", priority=Priority.NORMAL, requested_by="a test")
        claimed = task_requests.claim(session, made, "w", 60)
        assert claimed is not None
        with pytest.raises(TransientError) as raised:
            raise TransientError(ErrorCode.STORAGE_UNAVAILABLE, "The storage did not answer.")
        assert record_task_failure(session, claimed, raised.value, settings=WorkSettings()) == "retried"
        session.execute(text("UPDATE task_requests SET run_at = NULL"))
        assert task_requests.claim(session, made, "w", 60)
        session.execute(text("UPDATE task_requests SET lease_until = now() - interval '1 s'"))
        (row,) = task_requests.WORK.exhausted(session, 2)
        give_up_task(session, row["id"], row["fence"])
    with database.session_scope() as session:
        (letter,) = session.scalars(select(DeadLetter)).all()
        assert letter.traceback is not None
        assert letter.traceback.startswith("Traceback (most recent call last)")
        assert "The storage did not answer." in letter.traceback
        assert session.scalar(select(TaskRequest.traceback)) is None, "the letter has it"


def test_job_whose_process_dies_each_time_fails_with_a_dead_letter(database: Database) -> None:
    job_id = submit(database)
    for _ in range(3):
        assert claim(database, job_id, lease=0.001) is not None
        with database.session_scope() as session:
            session.execute(text("SELECT pg_sleep(0.01)"))
            jobs.WORK.expire_leases(session, 3)
    with database.session_scope() as session:
        (row,) = jobs.WORK.exhausted(session, 3)
        give_up_job(session, row["id"], row["fence"])
    with database.session_scope() as session:
        job = session.get_one(Job, job_id)
        assert job.error is not None
        assert (job.status, job.error["code"]) == ("failed", "attempts_exhausted")
        letter = session.scalars(select(DeadLetter)).one()
        assert (letter.attempts, letter.payload) == (3, {"job_id": str(job_id)})
        assert session.scalars(select(JobEvent.type)).all() == ["job.failed"]


def test_delivery_attempt_is_recorded_with_what_ends_the_claim(database: Database) -> None:
    finish(database, claim(database, submit(database)), made())
    with database.session_scope() as session:
        delivery_id = session.scalars(select(Delivery.id)).one()
        delivery = deliveries.claim(session, delivery_id, "n", 60)
        assert delivery is not None
        assert (delivery.event_type, delivery.sequence, delivery.webhook_secret) == ("job.completed", 2, None)
        attempt = deliveries.Try(status_code=500, duration_ms=3, error=None, response_excerpt="oops")
        assert deliveries.again(session, delivery, attempt, {"code": "x"}, 30)
        assert not deliveries.delivered(session, delivery, attempt)
    with database.session_scope() as session:
        row = session.get_one(Delivery, delivery_id)
        assert (row.status, row.queue, row.attempts) == ("queued", "notifier.retry", 1)
        assert row.run_at is not None
        assert row.run_at > datetime.datetime.now(datetime.UTC)
