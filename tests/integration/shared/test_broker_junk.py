"""What is no work for a worker, on its queues: it lives, the work behind it is done, and each item is recorded once.

Real Redis, real Postgres, real workers, with processes and with threads.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from tests.integration.shared.processes import Fleet, Gate, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.domain.ids import new_id
from pixmill_shared.plumbing.letterbox import POISON, to_json
from pixmill_shared.repositories.dead_letters import RefusedItem

SHARED = "pixmill_shared.celery_app"
HEARTBEAT = "pixmill_shared.tasks.monitoring.record_heartbeat"
QUEUES = {"prefork": "default", "threads": "maintenance"}
"""Each worker's own, so that a test knows who took what."""


def message(task: object = HEARTBEAT, body: object = ((), {}, {}), queue: str = "default", **changes: Any) -> Any:
    """As kombu writes it to a list of Redis; ``changes`` are of the envelope, None takes a field away."""
    text = body if isinstance(body, str) else base64.b64encode(json.dumps(body).encode()).decode()
    envelope = {
        "body": text,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": task, "id": str(uuid.uuid4()), "lang": "py", "ignore_result": True},
        "properties": {
            "correlation_id": str(uuid.uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": queue, "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    envelope.update(changes)
    return {key: value for key, value in envelope.items() if value is not None}


def headers(**changes: object) -> dict[str, object]:
    found = {**message()["headers"], **changes}
    return {key: value for key, value in found.items() if value is not None}


def properties(**changes: object) -> dict[str, object]:
    return {**message()["properties"], **changes}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


#: Name to item and the code under which it is recorded.
JUNK: dict[str, tuple[object, str]] = {
    "not JSON": (b"junk", "malformed_item"),
    "empty": (b"", "malformed_item"),
    "bytes": (b"\x80\x04\x95\x00\xff", "malformed_item"),
    "a number": (b"5", "malformed_item"),
    "a list": (b"[1, 2]", "malformed_item"),
    "no envelope": (b'{"a": 1}', "malformed_item"),
    "nested too deep": (b"[" * 200_000, "malformed_item"),
    "a date that is none": (b'{"__type__": "datetime", "__value__": "never"}', "malformed_item"),
    "the same in escapes": (rb'{"\u005f_type__": "datetime", "__value__": "never"}', "malformed_item"),
    "bad base64": (message(body="abc"), "malformed_item"),
    "unknown encoding": (message(properties=properties(body_encoding="rot13")), "malformed_item"),
    "compressed": (message(headers=headers(compression="zlib")), "malformed_item"),
    "no address": (message(properties=properties(delivery_info={})), "malformed_item"),
    "tag that is no text": (message(properties=properties(delivery_tag={"a": 1})), "malformed_item"),
    "headers that are a list": (message(headers=[1]), "malformed_item"),
    "10 MB": (message(body=([], {"x": "y" * 10_000_000}, {})), "malformed_item"),
    "10 MB that are not JSON": (b"z" * 10_000_000, "malformed_item"),
    "pickle": (message(body=b64("x"), **{"content-type": "application/x-python-serialize"}), "content_refused"),
    "yaml": (message(body=b64("a: 1"), **{"content-type": "application/x-yaml"}), "content_refused"),
    "content type of nobody": (message(**{"content-type": "application/x-nobody"}), "content_refused"),
    "body that is not JSON": (message(body=b64("junk")), "undecodable_message"),
    "no task": (message(body={"a": 1}, headers=headers(task=None)), "unknown_message"),
    "no task, a list": (message(body=[1], headers=headers(task=None)), "unknown_message"),
    "unknown task": (message("acme.nobody.knows"), "unknown_task"),
    "unknown task without an id": (message("acme.anonymous", headers=headers(task="a.b", id=None)), "invalid_task"),
    "task that is a list": (message(headers=headers(task=["a"])), "invalid_task"),
    "wrong arguments": (message(body=([], {"unknown": 1}, {})), "invalid_task"),
    "too many arguments": (message(body=([1, 2, 3], {}, {})), "invalid_task"),
    "arguments that are a number": (message(body=(5, 5, {})), "invalid_task"),
    "body that is a number": (message(body=5), "invalid_task"),
    "body of two": (message(body=[1, 2]), "invalid_task"),
    "no id": (message(headers=headers(id=None)), "invalid_task"),
    "id that is a list": (message(headers=headers(id=[1])), "invalid_task"),
    "time limits that are text": (message(headers=headers(timelimit=["a", "b"])), "invalid_task"),
    "eta that is none": (message(headers=headers(eta="soon")), "invalid_task"),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("junk")


@pytest.fixture(scope="module")
def client(servers: Servers) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def fleet(servers: Servers, postgres_url: str, directory: Path, client: object) -> Iterator[Fleet]:
    fleet = Fleet(directory, environment_of(servers.stack.environment, postgres_url, directory))
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def workers(fleet: Fleet) -> dict[str, Running]:
    started = {pool: fleet.worker(pool, SHARED, "-P", pool, "-c", "2", "-Q", queue) for pool, queue in QUEUES.items()}
    for worker in started.values():
        worker.wait_ready(120)
    return started


def query(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def push(client: "redis.Redis", queue: str, item: object) -> None:
    client.lpush(queue, item if isinstance(item, bytes) else json.dumps(item))


def succeeded(worker: Running) -> float:
    return worker.metric("pixmill_tasks_total", f'task="{HEARTBEAT}"', 'outcome="succeeded"')


@pytest.mark.parametrize("pool", QUEUES)
def test_junk_is_recorded_once_and_stops_neither_the_worker_nor_the_work_behind_it(
    workers: dict[str, Running], client: "redis.Redis", postgres_url: str, pool: str
) -> None:
    worker, queue = workers[pool], QUEUES[pool]
    query(postgres_url, "TRUNCATE dead_letters")
    before, restarts = succeeded(worker), worker.log.count("connection to the broker")
    for item, _ in JUNK.values():
        push(client, queue, item)
        push(client, queue, message(queue=queue))
    wait_until(lambda: succeeded(worker) == before + len(JUNK), 60, "the work between the junk")
    wait_until(lambda: client.llen(POISON) == 0, 60, "an empty poison list")
    count = "SELECT count(*) FROM dead_letters"
    wait_until(lambda: query(postgres_url, count) == [(len(JUNK),)], 60, "a dead letter for each")
    assert worker.popen.poll() is None
    assert worker.log.count("connection to the broker") == restarts
    found = query(postgres_url, "SELECT error->>'code', project, task, payload, replayed_at FROM dead_letters")
    expected = [code for _, code in JUNK.values()]
    assert sorted(row[0] for row in found) == sorted(expected)
    assert {(row[1], row[4]) for row in found} == {(None, None)}
    assert all(row[3]["size"] >= 0 and len(json.dumps(row[3])) < 14_000 for row in found)
    assert max(row[3]["size"] for row in found) > 10_000_000
    assert {row[2] for row in found if row[0] == "malformed_item"} == {"unknown"}
    assert [row[2] for row in found if row[0] == "unknown_task"] == ["acme.nobody.knows"]
    assert client.llen(queue) == 0
    assert wait_until(lambda: client.hlen("unacked") == 0, 60, "all messages to be acknowledged")


@pytest.fixture(scope="module")
def gate(servers: Servers) -> Iterator[Gate]:
    """The third worker reaches its database through it."""
    where = urlsplit(servers.app_url)
    gate = Gate((str(where.hostname), int(where.port or 0)))
    yield gate
    gate.shut()


@pytest.fixture(scope="module")
def apart(servers: Servers, client: object) -> Iterator["redis.Redis"]:
    """The third worker's, another database of the same Redis: the others look for poison too, now and then."""
    with redis.Redis.from_url(urlsplit(servers.redis_url)._replace(path="/1").geturl()) as other:
        yield other


@pytest.fixture(scope="module")
def third(fleet: Fleet, gate: Gate, apart: "redis.Redis", postgres_url: str) -> Running:
    url, broker = urlsplit(postgres_url), urlsplit(fleet.environment["REDIS_URL"])
    through = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{gate.port}").geturl()
    places = {"DATABASE_URL": through, "REDIS_URL": broker._replace(path="/1").geturl()}
    worker = fleet.worker("third", SHARED, "-P", "solo", "-Q", "api", **places)
    worker.wait_ready(120)
    return worker


def test_what_is_refused_while_the_database_is_down_is_recorded_when_it_is_back(
    third: Running, gate: Gate, apart: "redis.Redis", postgres_url: str
) -> None:
    query(postgres_url, "TRUNCATE dead_letters")
    gate.shut()
    try:
        push(apart, "api", b"junk of a bad day")
        push(apart, "api", message("acme.unheard", queue="api"))
        wait_until(lambda: "refused items wait for the database" in third.log, 60, "a word about the database")
        wait_until(lambda: apart.llen(POISON) == 1 and apart.llen("api") == 0, 60, "the item on the poison list")
    finally:
        gate.open()
    wait_until(lambda: apart.llen(POISON) == 0, 60, "an empty poison list")
    found = "SELECT task, coalesce(payload->>'text', '') FROM dead_letters"
    wait_until(lambda: len(query(postgres_url, found)) == 2, 60, "both dead letters")
    letters = dict(query(postgres_url, found))
    assert letters.keys() == {"unknown", "acme.unheard"}
    assert letters["unknown"] == "junk of a bad day"
    before = succeeded(third)
    push(apart, "api", message(queue="api"))
    wait_until(lambda: succeeded(third) == before + 1, 60, "work")


def test_what_another_process_set_aside_is_recorded_when_a_worker_starts(
    workers: dict[str, Running], fleet: Fleet, client: "redis.Redis", postgres_url: str
) -> None:
    query(postgres_url, "TRUNCATE dead_letters")
    item = RefusedItem(new_id(), "unknown", {"text": "left behind"}, {"code": "malformed_item"})
    client.lpush(POISON, b"foreign", to_json(item), to_json(item))
    late = fleet.worker("late", SHARED, "-P", "solo", "-Q", "api")
    wait_until(lambda: client.llen(POISON) == 0, 60, "an empty poison list")
    assert query(postgres_url, "SELECT id::text FROM dead_letters") == [(str(item.id),)]
    late.wait_ready(120)
    assert late.end() == 0


def test_flood_of_junk_is_recorded_up_to_a_bound_and_counted_beyond_it(
    third: Running, apart: "redis.Redis", postgres_url: str
) -> None:
    query(postgres_url, "TRUNCATE dead_letters")
    before, done = third.metric("pixmill_refused_total", 'reason="malformed_item"'), succeeded(third)
    apart.lpush("api", *(f"flood {n}" for n in range(500)))
    push(apart, "api", message(queue="api"))
    wait_until(lambda: succeeded(third) == done + 1, 60, "the work behind the flood")
    assert third.metric("pixmill_refused_total", 'reason="malformed_item"') == before + 500
    wait_until(lambda: apart.llen(POISON) == 0, 60, "an empty poison list")
    kept = third.metric("pixmill_refused_total", 'reason="malformed_item"', 'kept="yes"')
    wait_until(lambda: query(postgres_url, "SELECT count(*) FROM dead_letters")[0][0] >= kept - before, 60, "the rows")
    assert 50 <= kept <= 90
    assert query(postgres_url, "SELECT count(*) FROM dead_letters")[0][0] <= kept


def listeners(client: "redis.Redis") -> int:
    """To broadcasts, in the database of ``client``."""
    return sum(each["db"] == "0" and each["psub"] != "0" for each in client.client_list())


def test_broadcast_that_is_no_message_is_dropped(
    workers: dict[str, Running], fleet: Fleet, client: "redis.Redis"
) -> None:
    """Workers listen to broadcasts, as `inspect` sends them."""
    channel = "/0.celery.pidbox"
    # A worker is ready a moment before it listens to broadcasts.
    wait_until(lambda: listeners(client) >= len(workers), 60, "workers that listen")
    for junk in (b"junk", b"5", b"[1]", b'{"a": 1}', json.dumps(message(body="abc")).encode()):
        assert client.publish(channel, junk) >= len(workers)
    for worker in workers.values():
        wait_until(lambda worker=worker: worker.log.count("broadcast dropped") == 4, 60, "a word about each")  # type: ignore[misc]
        assert worker.popen.poll() is None
    for pool, worker in workers.items():
        before = succeeded(worker)
        push(client, QUEUES[pool], message(queue=QUEUES[pool]))
        wait_until(lambda worker=worker, before=before: succeeded(worker) == before + 1, 60, "work")  # type: ignore[misc]
