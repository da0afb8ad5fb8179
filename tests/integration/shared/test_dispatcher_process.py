"""The dispatcher as a process: from commit to message, and back to work after everything that can break."""

import json
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text
from tests.integration.shared.processes import Fleet, Running, environment_of, frozen, wait_until
from tests.pids import is_alive
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs

WINDOW = 8
#: Seconds. No test waits for it: what comes was a NOTIFY's doing.
SLOW_POLL = "120"
#: What was published is published again in no test but one, by its row's own time.
QUICK = {"PIXMILL_DISPATCH_POLL": "0.2", "PIXMILL_REDISPATCH_AFTER": "300", "PIXMILL_WINDOW": "64"}


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=16)
    yield database
    database.dispose()


@pytest.fixture
def broker(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url, socket_timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def fleet(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("dispatchers")
    fleet = Fleet(directory, environment_of(servers.stack.environment, postgres_url, directory))
    yield fleet
    fleet.stop()


@pytest.fixture(autouse=True)
def _no_rows(database: Database) -> None:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters CASCADE"))


@pytest.fixture(scope="module")
def patient(fleet: Fleet) -> Running:
    """It polls so seldom that what happens was a NOTIFY's doing."""
    running = fleet.dispatcher("patient", PIXMILL_DISPATCH_POLL=SLOW_POLL, PIXMILL_WINDOW=str(WINDOW))
    running.wait_ready()
    return running


def submit(database: Database, queue: QueueName = QueueName.IMAGING, stage: Stage = Stage.RENDER) -> uuid.UUID:
    new = jobs.NewJob(
        project="default", stage=stage, queue=queue, priority=1, source={"url": "http://x/"}, recipe={"outputs": []}
    )
    with database.session_scope() as session:
        return jobs.insert(session, new)


def insert_silently(database: Database, count: int, queue: str = "imaging") -> set[uuid.UUID]:
    """Rows that no NOTIFY tells of."""
    sql = """
        INSERT INTO jobs (id, project, stage, queue, source, recipe)
        SELECT gen_random_uuid(), 'default', 'render', :queue, '{}', '{}' FROM generate_series(1, :count) RETURNING id
    """
    with database.session_scope() as session:
        return set(session.scalars(text(sql), {"count": count, "queue": queue}))


def published(broker: "redis.Redis", queue: str = "imaging") -> list[uuid.UUID]:
    """Job ids of the messages that wait, oldest last."""
    found = []
    for raw in broker.lrange(queue, 0, -1):
        message = json.loads(raw)
        args, kwargs, _ = json.loads(_body(message))
        assert args == []
        found.append(uuid.UUID(kwargs["job_id"]))
    return found


def _body(message: dict[str, Any]) -> str:
    import base64

    return base64.b64decode(message["body"]).decode()


def dispatched(database: Database) -> int:
    with database.session_scope() as session:
        return int(session.scalar(text("SELECT count(*) FROM jobs WHERE dispatched_at IS NOT NULL")) or 0)


def claim_all(database: Database, ids: list[uuid.UUID]) -> None:
    with database.session_scope() as session:
        for job_id in ids:
            jobs.claim(session, job_id, Stage.RENDER, "a test", 600)


def test_listening_begins_again_after_its_connection_was_cut(
    patient: Running, database: Database, broker: "redis.Redis"
) -> None:
    """The first test: once it has published, a dispatcher looks by itself for a while."""
    cut = """
        SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE :pattern
    """

    def was_cut() -> bool:
        with database.session_scope() as session:
            return session.scalar(text(cut), {"pattern": "LISTEN%"}) == 1

    # It is ready a moment before it listens.
    wait_until(was_cut, 60, "a LISTEN")
    listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"

    def heard_again() -> bool:
        with database.session_scope() as session:
            return session.scalar(text(listening)) == 1

    wait_until(heard_again, 60, "a new LISTEN")
    job_id = submit(database)
    wait_until(lambda: job_id in published(broker), 60, "the message")


def test_commit_becomes_a_message_by_notify_long_before_the_poll(
    patient: Running, database: Database, broker: "redis.Redis"
) -> None:
    for _ in range(3):
        job_id = submit(database)
        wait_until(lambda job_id=job_id: job_id in published(broker), 60, "the message")


def test_message_names_the_task_of_the_stage_and_carries_only_the_id(
    patient: Running, database: Database, broker: "redis.Redis"
) -> None:
    job_id = submit(database, QueueName.FETCH, Stage.FETCH)
    wait_until(lambda: broker.llen("fetch"), 60, "the message")
    message = json.loads(broker.lrange("fetch", 0, 0)[0])
    assert message["headers"]["task"] == "pixmill_imaging.tasks.fetch.fetch_source"
    assert message["content-type"] == "application/json"
    assert published(broker, "fetch") == [job_id]


def test_window_bounds_what_the_broker_holds(patient: Running, database: Database, broker: "redis.Redis") -> None:
    ids = [submit(database) for _ in range(3 * WINDOW)]
    wait_until(lambda: broker.llen("imaging") == WINDOW, 60, "a full window")
    first = published(broker)
    assert sorted(first) == sorted(ids[:WINDOW]), "in the order of submission, which ids of one millisecond do not have"
    submit(database)
    claim_all(database, first[:3])
    submit(database)
    wait_until(lambda: broker.llen("imaging") == WINDOW + 3, 60, "three more")
    assert len(set(published(broker))) == WINDOW + 3
    # What is published is committed after that.
    wait_until(lambda: dispatched(database) == WINDOW, 60, "their commit")


def test_all_database_connections_cut_in_the_midst_of_work_lose_nothing(
    patient: Running, database: Database, broker: "redis.Redis", postgres_url: str
) -> None:
    """Many cuts, at whatever moment: some hit a statement, some an idle connection."""
    others = Database(postgres_url)  # the pool of this test is cut too
    ids = []
    try:
        for _ in range(20):
            ids.append(submit(database))
            with others.session_scope() as session:
                session.execute(
                    text(
                        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        " AND application_name = '' AND backend_type = 'client backend'"
                    )
                )
            claim_all(others, published(broker))
    finally:
        others.dispose()

    def all_seen() -> bool:
        claim_all(database, published(broker))
        return set(published(broker)) == set(ids)

    wait_until(all_seen, 60, "all messages")
    assert patient.popen.poll() is None, patient.log
    patient.wait_ready()


@pytest.fixture(scope="module")
def quick(fleet: Fleet, patient: Running) -> Iterator[Running]:
    """The only one that runs from here on, with a short poll."""
    patient.end()
    running = fleet.dispatcher(
        "quick", PIXMILL_DISPATCH_POLL="0.2", PIXMILL_REDISPATCH_AFTER="300", PIXMILL_WINDOW="64"
    )
    running.wait_ready()
    yield running
    assert running.end(seconds=60) == 0, "SIGTERM must end it"
    assert "Traceback" not in running.log


def test_rows_without_a_notify_are_found_by_the_poll(quick: Running, database: Database, broker: "redis.Redis") -> None:
    ids = insert_silently(database, 5)
    wait_until(lambda: set(published(broker)) == ids, 60, "the messages")


def test_messages_that_the_broker_lost_are_sent_again(
    quick: Running, database: Database, broker: "redis.Redis"
) -> None:
    unclaimed, claimed = submit(database), submit(database)
    wait_until(lambda: set(published(broker)) == {unclaimed, claimed}, 60, "the messages")
    claim_all(database, [claimed])
    broker.flushall()
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET dispatched_at = dispatched_at - interval '301 s'"))
    wait_until(lambda: broker.llen("imaging"), 60, "the message again")
    assert set(published(broker)) == {unclaimed}
    assert quick.metric("pixmill_redispatched_total", 'table="jobs"') >= 1


def _unready(running: Running) -> dict[str, str] | None:
    """Its checks, if it says that it is not ready."""
    status, body = running.ask("/health/ready")
    return dict(json.loads(body)["checks"]) if status == 503 else None


def test_frozen_broker_is_named_and_waited_for(
    quick: Running, database: Database, broker: "redis.Redis", servers: Servers
) -> None:
    with frozen(servers.stack.pids()["redis"]):
        job_id = submit(database)
        wait_until(lambda: _unready(quick) == {"database": "ok", "broker": "unavailable"}, 60, "unready")
        wait_until(lambda: quick.ask("/health")[0] == 200, 60, "a sign of life")
        wait_until(lambda: quick.metric("pixmill_dispatcher_broker_up") == 0, 60, "a metric that says so")
        assert dispatched(database) == 0
    wait_until(lambda: job_id in published(broker), 60, "the message after the frost")
    quick.wait_ready()
    wait_until(lambda: quick.metric("pixmill_dispatcher_broker_up") == 1, 60, "a metric that says so")


def test_killed_broker_that_comes_back_is_used_again(
    quick: Running, database: Database, redis_url: str, servers: Servers
) -> None:
    old = servers.stack.pids()["redis"]
    os.kill(old, signal.SIGKILL)
    ids = {submit(database) for _ in range(5)}
    wait_until(lambda: servers.stack.pids().get("redis", old) != old, 60, "a new Redis")

    def all_there() -> bool:
        try:
            with redis.Redis.from_url(redis_url, socket_timeout=2) as client:
                return set(published(client)) >= ids
        except redis.RedisError:
            return False

    wait_until(all_there, 60, "the messages")
    quick.wait_ready()
    assert quick.popen.poll() is None


def test_two_dispatchers_publish_each_row_once_and_one_goes_on_alone(
    quick: Running, fleet: Fleet, database: Database, broker: "redis.Redis"
) -> None:
    other = fleet.dispatcher("other", **QUICK)
    other.wait_ready()
    ids: set[uuid.UUID] = set()
    over = threading.Event()
    seen: Counter[uuid.UUID] = Counter()

    def work() -> None:
        """Pops as a worker does, and claims."""
        with redis.Redis.from_url(fleet.environment["REDIS_URL"], socket_timeout=60) as client:
            while not over.is_set():
                raw = client.rpop("imaging")
                if raw is None:
                    over.wait(0.005)
                    continue
                job_id = uuid.UUID(json.loads(_body(json.loads(raw)))[1]["job_id"])
                seen[job_id] += 1
                claim_all(database, [job_id])

    worker = threading.Thread(target=work)
    worker.start()
    try:

        def dispatched() -> list[float]:
            return [process.metric("pixmill_dispatched_total", 'queue="imaging"') for process in (quick, other)]

        before = dispatched()
        shares = [0.0, 0.0]

        def all_counted() -> bool:
            shares[:] = [b - a for a, b in zip(before, dispatched(), strict=True)]
            return sum(shares) >= len(ids)

        # Until both had their share: which one is woken first is up to the machine.
        for _ in range(20):
            for _ in range(25):
                ids.update(insert_silently(database, 10))
                ids.add(submit(database))
                over.wait(0.02)
            wait_until(lambda: len(seen) == len(ids), 60, "all rows")
            # What is published is counted after its commit.
            wait_until(all_counted, 60, "their count")
            if min(shares) > 0:
                break
        assert set(seen.values()) == {1}
        assert sum(shares) == len(ids)
        assert min(shares) > 0, f"only one of them worked: {shares}"
        other.popen.kill()
        other.popen.wait(60)
        ids.update(insert_silently(database, 225))
        wait_until(lambda: len(seen) == len(ids), 60, "the rest")
        assert set(seen.values()) == {1}
    finally:
        over.set()
        worker.join(60)
        assert not worker.is_alive()


def test_killed_worker_loses_no_job_and_ends_it_once(
    quick: Running, fleet: Fleet, database: Database, broker: "redis.Redis", tmp_path: Path
) -> None:
    """kill -9 of a worker, parent and children, while it renders: the lease runs out, another one does it."""
    source = tmp_path / "hold"
    os.mkfifo(source)
    upload = Path(fleet.environment["PIXMILL_STORAGE_URL"].removeprefix("file://")) / "uploads"
    upload.mkdir(parents=True)
    (upload / "held").symlink_to(source)  # reading it blocks until somebody writes
    options = ("-c", "1", "-Q", "imaging")
    first = fleet.worker("first", "pixmill_imaging.celery_app", *options, PIXMILL_LEASE="300")
    first.wait_ready()
    job_id = _render_job(database, "uploads/held")
    state = "SELECT status, attempts, fence FROM jobs WHERE id = :id"

    def row() -> tuple[Any, ...]:
        with database.session_scope() as session:
            return tuple(session.execute(text(state), {"id": job_id}).one())

    wait_until(lambda: row()[0] == "processing", 60, "the claim")
    children = first.children
    os.kill(first.popen.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children)), 60, "the children's end")
    first.popen.wait(60)
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET lease_until = clock_timestamp() WHERE id = :id"), {"id": job_id})
    (upload / "held").unlink()
    (upload / "held").write_bytes(b"GIF89a no picture")
    second = fleet.worker("second", "pixmill_imaging.celery_app", *options, PIXMILL_LEASE="300")
    wait_until(lambda: row()[0] == "failed", 90, "the end of the job")
    assert row()[1:] == (2, 2)
    with database.session_scope() as session:
        events = session.scalars(text("SELECT type FROM job_events WHERE job_id = :id"), {"id": job_id}).all()
    assert events == ["job.failed"]
    assert second.end(seconds=60) == 0


def _render_job(database: Database, key: str) -> uuid.UUID:
    recipe = {"outputs": [{"name": "web", "format": "png"}]}
    new = jobs.NewJob(
        project="default",
        stage=Stage.RENDER,
        queue=QueueName.IMAGING,
        priority=1,
        source={"upload_id": "u"},
        source_key=key,
        recipe=recipe,
    )
    with database.session_scope() as session:
        return jobs.insert(session, new)
