"""Batches on the real statements: counted exactly once, whatever happens at the same time, and told of once."""

import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from tests.integration.shared import ending_process
from tests.integration.shared.ending_process import end_some
from tests.integration.shared.test_repositories import made

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import batches, jobs
from pixmill_shared.repositories.batches import NewBatch, NewItem

COUNTS = """
SELECT b.status, b.total, b.completed, b.failed, b.canceled, b.finished_at,
       (SELECT count(*) FROM jobs j WHERE j.batch_id = b.id AND j.status = 'completed') AS rows_completed,
       (SELECT count(*) FROM jobs j WHERE j.batch_id = b.id AND j.status = 'failed') AS rows_failed,
       (SELECT count(*) FROM jobs j WHERE j.batch_id = b.id AND j.status = 'canceled') AS rows_canceled
FROM batches b WHERE b.id = :id
"""


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=8, max_overflow=8)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE batches, jobs, renditions, deliveries, endpoints, dead_letters CASCADE"))
    yield database
    database.dispose()


def make(database: Database, count: int, **changes: Any) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """A batch of uploads, due at once, and its jobs in their order."""
    values: dict[str, Any] = {"webhook_url": "https://example.com/batch", **changes}
    batch = NewBatch(new_id(), "p", count, 1, **values)
    ids = sorted(new_id() for _ in range(count))
    items = [NewItem(job_id, index, 0, {}, source_key="uploads/u") for index, job_id in enumerate(ids)]
    with database.session_scope() as session:
        batches.insert(session, batch, items, [{"outputs": []}])
    return batch.id, ids


def row(database: Database, batch_id: uuid.UUID) -> Any:
    with database.session_scope() as session:
        return session.execute(text(COUNTS), {"id": batch_id}).one()


def told(database: Database, batch_id: uuid.UUID) -> list[Any]:
    query = "SELECT * FROM deliveries WHERE event_id = :id ORDER BY endpoint_id NULLS FIRST"
    with database.session_scope() as session:
        return list(session.execute(text(query), {"id": batch_id}).all())


def claimed(database: Database, job_id: uuid.UUID) -> jobs.ClaimedJob:
    with database.session_scope() as session:
        job = jobs.claim(session, job_id, Stage.RENDER, "w", 60)
    assert job is not None
    return job


def completes(database: Database, job_id: uuid.UUID) -> None:
    job = claimed(database, job_id)
    with database.session_scope() as session:
        assert jobs.complete(session, job, found={}, sha256="s", made=[made(key=str(job_id))]) is not None


def fails(database: Database, job_id: uuid.UUID) -> None:
    job = claimed(database, job_id)
    with database.session_scope() as session:
        assert jobs.fail(session, job.id, job.fence, {"code": "undecodable"})


def is_canceled(database: Database, job_id: uuid.UUID) -> None:
    with database.session_scope() as session:
        jobs.cancel(session, job_id, "p")


Ends = Callable[[Database, uuid.UUID], None]
ENDINGS: list[tuple[list[Ends], bool, str]] = [
    ([completes, completes], False, "completed"),
    ([completes, completes], True, "partially_completed"),
    ([completes, fails], False, "partially_completed"),
    ([is_canceled, completes], False, "partially_completed"),
    ([fails, fails], False, "failed"),
    ([is_canceled, fails], True, "failed"),
    ([is_canceled, is_canceled], False, "canceled"),
    ([is_canceled, is_canceled], True, "canceled"),
]


@pytest.mark.parametrize(("ends", "rejected", "status"), ENDINGS, ids=[str(n) for n in range(len(ENDINGS))])
def test_last_job_ends_the_batch_and_tells_of_it_once(
    database: Database, ends: list[Ends], rejected: bool, status: str
) -> None:
    wrong = [{"index": 7, "errors": [{"pointer": "/items/7", "detail": "is wrong"}]}] if rejected else []
    batch_id, ids = make(database, 2, rejected=wrong, metadata={"order": 7})
    ends[0](database, ids[0])
    before = row(database, batch_id)
    assert (before.status, before.finished_at, told(database, batch_id)) == ("processing", None, [])
    ends[1](database, ids[1])
    after = row(database, batch_id)
    assert (after.status, after.finished_at is not None) == (status, True)
    (delivery,) = told(database, batch_id)
    assert (delivery.event_type, delivery.url, delivery.project) == (
        "batch.completed",
        "https://example.com/batch",
        "p",
    )
    assert (delivery.queue, delivery.status, delivery.run_at, delivery.job_id) == ("notifier", "queued", None, None)
    counts = {"completed": ends.count(completes), "failed": ends.count(fails), "canceled": ends.count(is_canceled)}
    assert delivery.data == {
        "batch_id": str(batch_id),
        "status": status,
        "sequence": 1,
        "counts": {**counts, "rejected": int(rejected)},
        "metadata": {"order": 7},
    }


def test_endpoints_hear_of_a_batch_if_their_filter_does(database: Database) -> None:
    heard = {"all": "{}", "batches": "{batch.completed}", "jobs": "{job.completed}"}
    with database.session_scope() as session:
        for name, events in heard.items():
            session.execute(
                text("INSERT INTO endpoints (id, project, url, events) VALUES (:id, 'p', :url, :events)"),
                {"id": new_id(), "url": f"https://{name}.example.com/", "events": events},
            )
    batch_id, (job_id,) = make(database, 1, webhook_url=None)
    completes(database, job_id)
    assert {delivery.url for delivery in told(database, batch_id)} == {
        "https://all.example.com/",
        "https://batches.example.com/",
    }


def test_whole_batch_is_canceled_at_once_and_ends(database: Database) -> None:
    batch_id, ids = make(database, 5)
    completes(database, ids[0])
    running = claimed(database, ids[1])
    with database.session_scope() as session:
        assert batches.cancel(session, batch_id, "another") == 0
        assert batches.cancel(session, batch_id, "p") == 4
    found = row(database, batch_id)
    assert (found.status, found.completed, found.canceled) == ("partially_completed", 1, 4)
    assert len(told(database, batch_id)) == 1
    with database.session_scope() as session:
        assert jobs.complete(session, running, found={}, sha256="s", made=[]) is None
        assert batches.cancel(session, batch_id, "p") == 0
        events = session.execute(text("SELECT type, sequence FROM job_events ORDER BY type")).all()
    assert [tuple(event) for event in events] == [("job.canceled", 1)] * 4 + [("job.completed", 2)]
    assert (row(database, batch_id), len(told(database, batch_id))) == (found, 1)


def test_repetition_has_what_failed_and_was_canceled_under_the_same_indexes(database: Database) -> None:
    batch_id, ids = make(database, 4)
    for end, job_id in zip((completes, fails, is_canceled, completes), ids, strict=True):
        end(database, job_id)
    again = NewBatch(new_id(), "p", 2, 1, retry_of=batch_id)
    with database.session_scope() as session:
        assert batches.count_repeated(session, batch_id) == 2
        repeated = batches.repeat(session, again)
    assert [each["index"] for each in repeated] == [1, 2]
    columns = "retry_of, status, stage, queue, source_key, recipe, turn, owner"
    with database.session_scope() as session:
        query = text(f"SELECT {columns} FROM jobs WHERE batch_id = :id ORDER BY batch_index")
        rows = [tuple(each) for each in session.execute(query, {"id": again.id})]
    same = ("queued", "render", "imaging", "uploads/u", {"outputs": []})
    assert rows == [(ids[n], *same, n, f"batch:{again.id}") for n in (1, 2)]


def test_jobs_that_end_at_once_in_all_ways_are_counted_once_each(database: Database) -> None:
    """Four threads, three batches that share renditions, and whoever comes cancels."""
    made_batches = [make(database, 40) for _ in range(3)]
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def end_all(seed: int) -> None:
        rng = random.Random(seed)
        try:
            barrier.wait(60)
            for batch_id, ids in rng.sample(made_batches, 3):
                end_some(database, batch_id, ids, rng, cancel_whole=seed == 3)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=end_all, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert errors == []
    for batch_id, _ in made_batches:
        finish(database, batch_id)
        check(database, batch_id, 40)


def test_killed_processes_count_each_job_once(database: Database) -> None:
    batch_id, _ = make(database, 90)
    deadline = time.monotonic() + 240
    rng = random.Random(7)
    while row(database, batch_id).finished_at is None:
        assert time.monotonic() < deadline
        command = [sys.executable, "-m", ending_process.__name__, database.url, str(batch_id), str(rng.random())]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
        for process in processes:
            with process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(rng.uniform(0, 0.6))
                process.kill()
        with database.session_scope() as session:
            session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"))
            jobs.WORK.expire_leases(session, 1000)
            counted = session.execute(text(COUNTS), {"id": batch_id}).one()
        assert counts_of(counted) == rows_of(counted)
        if counted.completed + counted.failed + counted.canceled > 70:
            finish(database, batch_id)
    check(database, batch_id, 90)


def finish(database: Database, batch_id: uuid.UUID) -> None:
    with database.session_scope() as session:
        batches.cancel(session, batch_id, "p")


def check(database: Database, batch_id: uuid.UUID, total: int) -> None:
    found = row(database, batch_id)
    assert counts_of(found) == rows_of(found)
    assert sum(counts_of(found)) == total
    assert found.finished_at is not None
    (delivery,) = told(database, batch_id)
    counts = delivery.data["counts"]
    assert (counts["completed"], counts["failed"], counts["canceled"]) == counts_of(found)


def counts_of(found: Any) -> tuple[int, int, int]:
    return found.completed, found.failed, found.canceled


def rows_of(found: Any) -> tuple[int, int, int]:
    return found.rows_completed, found.rows_failed, found.rows_canceled
