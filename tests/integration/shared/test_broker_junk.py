"""What is no work for a worker, on its queues: it lives, the work behind it is done, and each item is recorded once.

Real Redis, real Postgres, real workers, with processes and with threads.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.plumbing.letterbox import POISON

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
        worker.wait_ready(60)
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
    wait_until(lambda: client.llen(POISON) == 0, 30, "an empty poison list")
    count = "SELECT count(*) FROM dead_letters"
    wait_until(lambda: query(postgres_url, count) == [(len(JUNK),)], 30, "a dead letter for each")
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
    assert wait_until(lambda: client.hlen("unacked") == 0, 10, "all messages to be acknowledged")
