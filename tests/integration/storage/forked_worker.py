"""A prefork Celery worker whose parent builds both stores, and whose children use them. Run by the tests."""

import json
import os
import uuid

import redis
from celery import Celery
from tests.integration.storage.threads import thread_names

from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, open_store
from pixmill_shared.storage.signing import FileUrlSigner

PLACES = [StorageSettings(**settings) for settings in json.loads(os.environ["TEST_STORAGE"])]
STORES = [open_store(settings, FileUrlSigner(["k"]), "http://pixmill.test") for settings in PLACES]

REDIS_URL = os.environ["TEST_REDIS_URL"]
DONE = "test:done"

app = Celery(broker=REDIS_URL)
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, task_ignore_result=True)


@app.task(name="mixed")
def mixed(rounds: int) -> None:
    """Every kind of request, on both stores in turn; what was read is compared with what was written."""
    requests = 0
    try:
        for turn in range(rounds):
            for store in STORES:
                requests += one_round(store, turn)
        report = {"pid": os.getpid(), "requests": requests, "threads": thread_names(os.getpid())}
    except BaseException as error:
        report = {"error": repr(error), "cause": repr(error.__cause__)}
    with redis.Redis.from_url(REDIS_URL) as client:
        client.rpush(DONE, json.dumps(report))


def one_round(store: ObjectStore, turn: int) -> int:
    prefix = f"forks/{uuid.uuid4().hex}"
    size = 6_000_000 if turn % 8 == 7 else 40_000
    data = os.urandom(1000) * (size // 1000)
    store.put(f"{prefix}/a", data, "image/webp")
    store.put_stream(f"{prefix}/b", (data[start : start + 65_536] for start in range(0, size, 65_536)), "image/webp")
    assert store.get(f"{prefix}/a") == data
    assert b"".join(store.stream(f"{prefix}/b", 0, size)) == data
    assert store.head(f"{prefix}/b").size == size
    assert {info.key for info in store.list(prefix)} == {f"{prefix}/a", f"{prefix}/b"}
    assert not store.exists(f"{prefix}/c")
    store.delete(f"{prefix}/a")
    store.delete(f"{prefix}/b")
    return 9
