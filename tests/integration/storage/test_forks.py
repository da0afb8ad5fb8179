"""Forked workers and the store: safe while the parent has made no request, an error instead of a hang otherwise."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from tests.integration.storage.conftest import Place
from tests.integration.storage.threads import thread_names

ROOT = Path(__file__).parents[3]
RUNTIME = "tokio-rt-worker"


def plain(place: Place) -> dict[str, Any]:
    fields = place.settings.model_dump()
    secret = {name: fields[name].get_secret_value() for name in ("aws_access_key_id", "aws_secret_access_key")}
    return {**fields, **secret, "timeout": 30}


@contextmanager
def prefork_worker(redis_url: str, places: list[Place]) -> Iterator[subprocess.Popen[bytes]]:
    # Children are replaced every third task, so that the parent forks in the midst of everything.
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "tests.integration.storage.forked_worker", "worker"),
            *("--pool=prefork", "--concurrency=4", "--max-tasks-per-child=3", "--loglevel=WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        cwd=ROOT,
        env={"TEST_REDIS_URL": redis_url, "TEST_STORAGE": json.dumps([plain(place) for place in places])},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_prefork_children_make_hundreds_of_requests_at_once(redis_url: str, directory: Place, bucket: Place) -> None:
    app = Celery(broker=redis_url)
    # Without a time-out of the socket, which would end a wait for the list after 5 s.
    client = redis.Redis.from_url(redis_url, socket_timeout=None)
    with prefork_worker(redis_url, [directory, bucket]) as worker, client:
        for _ in range(12):
            app.send_task("mixed", (4,), ignore_result=True)
        done = [json.loads(client.blpop(["test:done"], timeout=150)[1]) for _ in range(12)]
        parent = thread_names(worker.pid)
    app.close()
    assert [result for result in done if "error" in result] == []
    assert sum(result["requests"] for result in done) == 12 * 4 * 2 * 9
    assert len({result["pid"] for result in done}) >= 4
    assert all(RUNTIME in result["threads"] for result in done)
    assert RUNTIME not in parent
    for place in (directory, bucket):
        assert list(place.store.list("")) == []
        assert place.leftovers() == []


def test_a_child_of_a_process_that_used_the_store_gets_an_error_and_does_not_hang(place: Place) -> None:
    script = """
import json, os, sys
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import open_store
from pixmill_shared.storage.forks import UsedBeforeFork
from pixmill_shared.storage.signing import FileUrlSigner
def opened():
    return open_store(StorageSettings(**json.loads(sys.argv[1])), FileUrlSigner(["k"]), "http://pixmill.test")
store = opened()
store.put("a", b"1", "image/webp")
child = os.fork()
if child == 0:
    told = 0
    for attempt in (store, opened()):
        try:
            attempt.get("a")
        except UsedBeforeFork:
            told += 1
    os._exit(told)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), store.get("a"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(plain(place))], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["2", "b'1'"]
