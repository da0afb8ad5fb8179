"""Dispatchers as processes, on queues of work that is a little out of the ordinary."""

import base64
import datetime
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import text
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs

WINDOW = 4
QUICK = {"PIXMILL_WINDOW": str(WINDOW), "PIXMILL_DISPATCH_POLL": "0.2", "PIXMILL_REDISPATCH_AFTER": "120"}


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=8)
    yield database
    database.dispose()


@pytest.fixture
def broker(redis_url: str, database: Database) -> Iterator["redis.Redis"]:
    """Emptied, as are the tables."""
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters, dispatch_marks CASCADE"))
    with redis.Redis.from_url(redis_url, socket_timeout=60) as client:
        yield client


@pytest.fixture
def fleet(
    servers: Servers, postgres_url: str, broker: "redis.Redis", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("dispatchers")
    fleet = Fleet(directory, environment_of(servers.stack.environment, postgres_url, directory))
    yield fleet
    fleet.stop()


def started(fleet: Fleet, name: str = "dispatcher", **changes: str) -> Running:
    running = fleet.dispatcher(name, **{**QUICK, **changes})
    running.wait_ready()
    return running


def insert_silently(database: Database, count: int, stage: str = "render") -> set[uuid.UUID]:
    """Rows that no NOTIFY tells of."""
    sql = """
        INSERT INTO jobs (id, project, stage, queue, source, recipe)
        SELECT gen_random_uuid(), 'default', :stage, 'imaging', '{}', '{}' FROM generate_series(1, :count)
        RETURNING id
    """
    with database.session_scope() as session:
        return set(session.scalars(text(sql), {"stage": stage, "count": count}))


def job_of(raw: bytes) -> uuid.UUID:
    body = json.loads(base64.b64decode(json.loads(raw)["body"]))
    return uuid.UUID(body[1]["job_id"])


def published(broker: "redis.Redis") -> list[uuid.UUID]:
    return [job_of(raw) for raw in broker.lrange("imaging", 0, -1)]


def work_off(database: Database, broker: "redis.Redis", count: int, seconds: float) -> tuple[Counter[uuid.UUID], int]:
    """Pops as a worker does and claims, which notifies nobody. What came how often, and the most that waited."""
    seen: Counter[uuid.UUID] = Counter()
    most, end = 0, time.monotonic() + seconds
    while seen.total() < count:
        assert time.monotonic() < end, f"{seen.total()} of {count} came"
        most = max(most, int(broker.llen("imaging")))
        raw = broker.brpop(["imaging"], timeout=1)
        if raw is None:
            continue
        job_id = job_of(raw[1])
        seen[job_id] += 1
        with database.session_scope() as session:
            jobs.claim(session, job_id, Stage.RENDER, "a test", 600)
    return seen, most


def test_two_dispatchers_never_put_more_than_one_window_into_the_broker(
    fleet: Fleet, database: Database, broker: "redis.Redis"
) -> None:
    pair = [fleet.dispatcher(name, **QUICK) for name in ("one", "other")]
    for each in pair:
        each.wait_ready()
    over, most = threading.Event(), [0]

    def watch() -> None:
        with redis.Redis.from_url(fleet.environment["REDIS_URL"], socket_timeout=60) as client:
            while not over.wait(0.002):
                most[0] = max(most[0], int(client.llen("imaging")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        ids = insert_silently(database, 150)
        wait_until(lambda: broker.llen("imaging") == WINDOW, 60, "a full window")
        for _ in range(10):  # both pass over it some times more
            with database.session_scope() as session:
                session.execute(text(f"NOTIFY {jobs.WAKE_CHANNEL}"))
        seen, _ = work_off(database, broker, 150, 120)
    finally:
        over.set()
        watcher.join(60)
        assert not watcher.is_alive()
    assert seen == Counter(dict.fromkeys(ids, 1))
    assert most[0] == WINDOW


def test_backlog_drains_fast_though_claims_notify_nobody(
    fleet: Fleet, database: Database, broker: "redis.Redis"
) -> None:
    insert_silently(database, 200)
    started(fleet, PIXMILL_DISPATCH_POLL="30")
    # 50 windows; by the poll alone they would take 25 minutes.
    work_off(database, broker, 200, 120)


def test_row_of_an_unknown_stage_is_put_off_and_stops_no_other(
    fleet: Fleet, database: Database, broker: "redis.Redis"
) -> None:
    (odd,) = insert_silently(database, 1, stage="of the next version")
    running = started(fleet)
    wait_until(lambda: running.metric("pixmill_unpublishable_total", 'table="jobs"') == 1, 60, "the count")
    ids = insert_silently(database, WINDOW)
    wait_until(lambda: set(published(broker)) == ids, 60, "the others")
    with database.session_scope() as session:
        waits = "SELECT status, run_at - clock_timestamp() > interval '30 s' FROM jobs WHERE id = :id"
        assert tuple(session.execute(text(waits), {"id": odd}).one()) == ("queued", True)
    assert running.metric("pixmill_unpublishable_total", 'table="jobs"') == 1, "not at each pass"
    assert "of the next version" in running.log
    running.wait_ready()


def test_row_that_cannot_be_given_up_stops_no_recovery(fleet: Fleet, database: Database, broker: "redis.Redis") -> None:
    odd, good = insert_silently(database, 1, stage="of the next version"), insert_silently(database, 1)
    gone = """
        UPDATE jobs SET status = 'processing', attempts = 3, fence = 3, lease_until = clock_timestamp() - interval '1 s'
    """
    with database.session_scope() as session:
        session.execute(text(gone))
    running = started(fleet)

    def failed() -> set[uuid.UUID]:
        with database.session_scope() as session:
            return set(session.scalars(text("SELECT id FROM jobs WHERE status = 'failed'")))

    wait_until(lambda: failed() == good, 60, "the end of the other one")
    assert running.metric("pixmill_unpublishable_total", 'table="jobs"') == 1
    with database.session_scope() as session:
        held = "SELECT lease_until > clock_timestamp() + interval '30 s' FROM jobs WHERE id = :id"
        assert session.scalar(text(held), {"id": odd.pop()}) is True


def test_job_with_a_run_at_is_published_at_its_time(fleet: Fleet, database: Database, broker: "redis.Redis") -> None:
    started(fleet)
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    new = jobs.NewJob("default", Stage.RENDER, QueueName.IMAGING, 1, {}, {"outputs": []}, run_at=at)
    with database.session_scope() as session:
        job_id = jobs.insert(session, new)
    wait_until(lambda: published(broker) == [job_id], 60, "the message")
    assert datetime.datetime.now(datetime.UTC) >= at
