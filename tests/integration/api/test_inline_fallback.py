"""An API that works itself while the broker is down, beside a dispatcher and workers that wait for it."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx
import pytest
from tests.integration.api.inline_api import (
    PATIENCE,
    SECRET,
    ended,
    job,
    picture,
    serving,
    submit,
    until,
    upload,
    webhooks,
)
from tests.integration.api.running import Api
from tests.integration.egress.servers import Server
from tests.integration.shared.processes import BIN, Fleet, Gate, Running, environment_of, frozen
from tests.servers import Servers

# Processes that wait for processes: on a busy machine each takes its time.
pytestmark = pytest.mark.timeout(600)

AFTER = 2
PUBLISHED = "SELECT count(*) FROM jobs WHERE dispatched_at IS NOT NULL AND id::text = ANY(%s)"
MOST_BYTES = 50_000


@pytest.fixture
def gate(redis_url: str) -> Iterator[Gate]:
    """The door to the broker; what was published stays behind it."""
    target = urlsplit(redis_url)
    assert target.hostname
    assert target.port
    door = Gate((target.hostname, target.port))
    yield door
    with contextlib.suppress(OSError):
        door.shut()


@pytest.fixture
def fleet(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path, gate: Gate) -> Iterator[Fleet]:
    url = urlsplit(redis_url)
    through = url._replace(netloc=f"{url.netloc.rpartition('@')[0]}@127.0.0.1:{gate.port}").geturl()
    environment = {
        **environment_of(servers.stack.environment, postgres_url, tmp_path),
        "REDIS_URL": through,
        "PIXMILL_ENV": "test",
        "PIXMILL_AUTH": "off",
        "PIXMILL_DISPATCH_POLL": "0.2",
        "PIXMILL_REDISPATCH_AFTER": "4",
        "PIXMILL_WEBHOOK_SECRET": SECRET,
        "PIXMILL_EGRESS_ALLOW": "127.0.0.1",
        # One that gave up would send its webhook again.
        "PIXMILL_WEBHOOK_TIMEOUT": "60",
    }
    started = Fleet(tmp_path, environment)
    yield started
    started.stop()


@pytest.fixture
def receiver() -> Iterator[Server]:
    server = Server(serving(picture()))
    yield server
    server.stop()


@pytest.fixture
def api(fleet: Fleet, postgres_url: str, tmp_path: Path) -> Iterator[Api]:
    running = fleet.start(
        "api",
        *(str(BIN / "python"), "-m", "pixmill_api"),
        PIXMILL_INLINE_FALLBACK="true",
        PIXMILL_INLINE_AFTER=str(AFTER),
        PIXMILL_INLINE_MAX_BYTES=str(MOST_BYTES),
    )
    running.wait_ready(PATIENCE)
    url = f"http://127.0.0.1:{running.port}"
    with httpx.Client(base_url=url, timeout=30) as client:
        yield Api(url, running.popen, postgres_url, tmp_path / "objects", client)


class Stalls:
    """How long this process stood still, in which the gate is: the broker behind it was down for as long."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._end.wait(0.05):
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def may_be_noticed(self) -> bool:
        """With a blink before or after it that is half as long as one that counts."""
        return self.longest >= AFTER / 2


def workers(fleet: Fleet) -> list[Running]:
    return [
        fleet.worker("imaging", "pixmill_imaging.celery_app", "-c", "1"),
        fleet.worker("notifier", "pixmill_notifier.celery_app", "-P", "threads", "-c", "4"),
    ]


def inline_tasks(api: Api) -> int:
    """Tasks that this process has run."""
    lines = api.client.get("/metrics").text.splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("pixmill_tasks_total{")))


def active(api: Api) -> bool:
    return "pixmill_inline_active 1.0" in api.client.get("/metrics").text.splitlines()


def busy(api: Api) -> bool:
    lines = api.client.get("/metrics").text.splitlines()
    return any(line.startswith("pixmill_inline_busy{") and not line.endswith(" 0.0") for line in lines)


def large() -> bytes:
    data = picture() + bytes(MOST_BYTES)
    assert len(data) > MOST_BYTES
    return data


def test_small_jobs_are_done_while_the_broker_is_down_and_everything_once(
    fleet: Fleet, api: Api, gate: Gate, receiver: Server
) -> None:
    fleet.dispatcher().wait_ready(PATIENCE)
    # Their messages are at the broker, whom no worker has asked yet.
    hook = receiver.url("/hook")
    before = [submit(api, webhook_url=hook) for _ in range(3)]
    until(lambda: api.query(PUBLISHED, before) == [(3,)], "their messages")
    until(lambda: not active(api), "an API that leaves it to workers")

    gate.shut()
    meanwhile = [submit(api, webhook_url=hook) for _ in range(3)]
    fetched = submit(api, {"url": receiver.url("/a.jpg")}, webhook_url=hook)
    waiting = submit(api, {"upload_id": upload(api, large())}, webhook_url=hook)
    until(lambda: active(api), "the API working itself")
    small = [*before, *meanwhile, fetched]
    assert [ended(api, each)["status"] for each in small] == ["completed"] * 7
    until(lambda: len(webhooks(receiver)) == 7, "their webhooks")
    until(lambda: api.client.get("/health/ready").status_code == 200, "its readiness")

    gate.open()
    with Stalls() as stalls:
        until(lambda: not active(api), "the API leaving it to workers")
        # A webhook is here before its delivery has ended; and a message may have come twice: a task, and no claim.
        until(lambda: not busy(api), "the end of what it had begun")
        done = inline_tasks(api)
        assert done >= 7 + 1 + 7
        assert job(api, waiting)["status"] == "queued"
        for worker in workers(fleet):
            worker.wait_ready(PATIENCE)
        after = [submit(api, webhook_url=hook) for _ in range(3)]
        assert [ended(api, each)["status"] for each in (waiting, *after)] == ["completed"] * 4
        until(lambda: api.query("SELECT 1 FROM deliveries WHERE status <> 'completed'") == [], "all webhooks")
    assert inline_tasks(api) == done or stalls.may_be_noticed
    everything = [*small, waiting, *after]
    assert len(webhooks(receiver)) == len(everything)
    claims = api.query("SELECT fence FROM jobs WHERE id::text = ANY(%s) AND id::text <> %s", everything, fetched)
    assert claims == [(1,)] * 10
    assert api.query("SELECT fence FROM jobs WHERE id = %s", fetched) == [(2,)]  # one claim a stage


def test_broker_that_blinks_changes_nothing(fleet: Fleet, api: Api, gate: Gate) -> None:
    for number in range(10):
        until(lambda: not active(api) and not busy(api), "an API that does nothing itself")
        with Stalls() as stalls:
            done = inline_tasks(api)
            gate.shut()
            held = submit(api)
            time.sleep(AFTER / 4)  # shorter than the API waits: the length of the outage is what is tested
            gate.open()
            if number == 0:
                fleet.dispatcher().wait_ready(PATIENCE)
            until(lambda held=held: api.query(PUBLISHED, [held]) == [(1,)], "its message")
            blinked = not active(api) and inline_tasks(api) == done
        if blinked or not stalls.may_be_noticed:
            break
    assert blinked


def test_broker_that_stands_still_is_down_too_and_holds_no_request_up(fleet: Fleet, api: Api, servers: Servers) -> None:
    fleet.dispatcher().wait_ready(PATIENCE)
    with frozen(servers.stack.pids()["redis"]):
        held = submit(api)
        assert ended(api, held)["status"] == "completed"
        assert active(api)
    until(lambda: not active(api), "the API leaving it to workers")
    assert api.query("SELECT fence FROM jobs WHERE id = %s", held) == [(1,)]
