"""What beat sends in a dispatcher's stead: work flows on without one, and beside one nothing is published twice."""

import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import text
from tests.integration.shared.processes import Fleet, environment_of, wait_until
from tests.integration.shared.test_dispatch_processes import QUICK, insert_silently, published, work_off
from tests.servers import Servers

from pixmill_shared.contract.alerts import MessageKind
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import alert_messages

SHARED = "pixmill_shared.celery_app"
NONE = {"jobs": 0, "generation_chunks": 0, "deliveries": 0, "alert_messages": 0, "task_requests": 0}


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=8)
    yield database
    database.dispose()


@pytest.fixture(scope="module")
def fleet(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One worker that has all tasks and takes ticks only: what they publish stays where a test can count it."""
    directory: Path = tmp_path_factory.mktemp("ticks")
    fleet = Fleet(directory, environment_of(servers.stack.environment, postgres_url, directory) | QUICK)
    fleet.worker("worker", SHARED, "-P", "threads", "-c", "2", "-Q", "default").wait_ready(120)
    yield fleet
    fleet.stop()


@pytest.fixture
def broker(servers: Servers, database: Database) -> Iterator["redis.Redis"]:
    """Without messages of other tests; not emptied, for a worker waits at it. No rows either."""
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, deliveries, alert_messages, dead_letters, dispatch_marks CASCADE"))
    with redis.Redis.from_url(servers.redis_url, socket_timeout=60) as client:
        client.delete(*(name.value for name in QueueName))
        yield client


class Clock:
    """Sends what beat would."""

    def __init__(self, url: str) -> None:
        self.client = Celery(broker=url, backend=url, set_as_current=False)
        self.client.conf.update(accept_content=["json"], result_serializer="json")

    def tick(self, task: TaskName) -> dict[str, int]:
        """Its result, once it has ended; in the queue of the one worker."""
        found = self.client.send_task(task.value, queue="default", ignore_result=False).get(timeout=60)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def clock(servers: Servers, fleet: Fleet, broker: "redis.Redis") -> Iterator[Clock]:
    clock = Clock(servers.redis_url)
    yield clock
    clock.client.close()


def insert_deliveries(database: Database, count: int) -> None:
    sql = """
        INSERT INTO deliveries (id, project, queue, event_id, event_type, url)
        SELECT gen_random_uuid(), 'default', 'notifier', gen_random_uuid(), 'ping', 'http://x/'
        FROM generate_series(1, :count)
    """
    with database.session_scope() as session:
        session.execute(text(sql), {"count": count})


def messages(broker: "redis.Redis", queue: QueueName) -> list[str]:
    return [json.loads(raw)["headers"]["task"] for raw in broker.lrange(queue.value, 0, -1)]


def test_due_work_of_every_kind_is_published_though_no_dispatcher_runs(
    clock: Clock, database: Database, broker: "redis.Redis"
) -> None:
    ids = insert_silently(database, 3)
    insert_deliveries(database, 2)
    with database.session_scope() as session:
        alert_messages.enqueue(session, ["log"], MessageKind.ALERTS, {})
    assert clock.tick(TaskName.RECOVER_STALLED) == {**NONE, "jobs": 3, "deliveries": 2, "alert_messages": 1}
    assert set(published(broker)) == ids
    assert messages(broker, QueueName.NOTIFIER) == [TaskName.DELIVER_WEBHOOK] * 2
    assert messages(broker, QueueName.NOTIFIER_ALERTS) == [TaskName.SEND_MESSAGE]
    assert clock.tick(TaskName.RECOVER_STALLED) == NONE, "published once"
    assert len(published(broker)) == 3


@pytest.mark.parametrize(
    ("task", "result"),
    [
        (TaskName.PROCESS_PENDING, {"jobs": 1, "generation_chunks": 0}),
        (TaskName.DELIVER_PENDING, {"deliveries": 1, "alert_messages": 1}),
    ],
    ids=["jobs", "notifications"],
)
def test_tick_of_a_service_publishes_its_own_kind_of_work(
    clock: Clock, database: Database, task: TaskName, result: dict[str, int]
) -> None:
    insert_silently(database, 1)
    insert_deliveries(database, 1)
    with database.session_scope() as session:
        alert_messages.enqueue(session, ["log"], MessageKind.ALERTS, {})
    assert clock.tick(task) == result
    assert clock.tick(TaskName.RECOVER_STALLED) == {
        **dict.fromkeys(("jobs", "deliveries", "alert_messages"), 1),
        **dict.fromkeys(result, 0),
        "generation_chunks": 0,
        "task_requests": 0,
    }


def test_work_of_a_worker_that_went_silent_and_delayed_work_is_published_without_a_dispatcher(
    clock: Clock, database: Database, broker: "redis.Redis"
) -> None:
    ids = insert_silently(database, 2)
    silent, delayed = sorted(ids)
    gone = """
        UPDATE jobs SET status = 'processing', attempts = 1, fence = 1,
          lease_until = clock_timestamp() - interval '1 s', dispatched_at = clock_timestamp() WHERE id = :id
    """
    with database.session_scope() as session:
        session.execute(text(gone), {"id": silent})
        later = "UPDATE jobs SET run_at = clock_timestamp() - interval '1 s' WHERE id = :id"
        session.execute(text(later), {"id": delayed})
    assert clock.tick(TaskName.PROCESS_PENDING) == {"jobs": 2, "generation_chunks": 0}
    assert set(published(broker)) == ids


def test_beside_a_dispatcher_nothing_is_published_twice(
    fleet: Fleet, clock: Clock, database: Database, broker: "redis.Redis"
) -> None:
    dispatcher = fleet.dispatcher()
    dispatcher.wait_ready(120)
    over, by_ticks = threading.Event(), Counter[str]()

    def tick() -> None:
        while not over.is_set():
            by_ticks.update(clock.tick(TaskName.RECOVER_STALLED))

    ticking = threading.Thread(target=tick)
    ticking.start()
    seen: Counter[uuid.UUID] = Counter()
    ids: set[uuid.UUID] = set()
    try:
        while len(ids) < 60 or (not by_ticks["jobs"] and len(ids) < 1_000):
            ids |= insert_silently(database, 20)
            came, _ = work_off(database, broker, 20, 60)
            seen.update(came)
    finally:
        over.set()
        ticking.join(60)
        dispatcher.end()
    assert seen == Counter(dict.fromkeys(ids, 1))
    wait_until(lambda: published(broker) == [], 60, "no message more")
    assert by_ticks["jobs"] > 0, "both have published"
