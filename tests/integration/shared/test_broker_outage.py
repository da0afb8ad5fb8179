"""A broker that is killed and comes back some ticks later, with no dispatcher: all that was due is done once."""

import datetime
import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Message, Queue
from kombu.common import ignore_errors
from sqlalchemy import select, text
from tests.integration.egress.servers import Server, answer
from tests.integration.shared.crew import picture
from tests.integration.shared.processes import BIN, Fleet, Running, environment_of, free_port, wait_until
from tests.servers import Servers

from pixmill.local.privileges import server_user
from pixmill.local.redis import find_redis
from pixmill_shared.contract.queues import Priority, QueueName
from pixmill_shared.contract.requests import requestable
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import BeatRun, Delivery, Job, TaskRequest
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import TERMINAL, Stage
from pixmill_shared.domain.objects import upload_name
from pixmill_shared.plumbing.redis_guard import GuardedTransport
from pixmill_shared.repositories import jobs, task_requests
from pixmill_shared.schedule import SCHEDULE

SHARED = "pixmill_shared.celery_app"
EVERY = 2
"""Seconds between two ticks of each entry."""
JOBS = 5


class Broker:
    """A Redis of the test's own, which it may kill. What it took survives that, as in production."""

    def __init__(self, directory: Path) -> None:
        self._binary = find_redis(server_user(), os.environ.get("PATH")).path
        self._directory = directory
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [str(self._binary), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        argv += ["--appendonly", "yes", "--save", ""]
        self._popen = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        wait_until(self._answers, 60, "the broker")

    def kill(self) -> None:
        assert self._popen is not None
        self._popen.send_signal(signal.SIGKILL)
        self._popen.wait(30)

    def stop(self) -> None:
        if self._popen is not None and self._popen.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, retry=None) as client:
                return bool(client.ping())
        except redis.exceptions.RedisError:
            return False


class Works:
    """Beat with all entries every two seconds, one worker for all queues, and no dispatcher."""

    def __init__(self, servers: Servers, url: str, broker: Broker, directory: Path) -> None:
        self.database = Database(url)
        self.objects = directory / "objects"
        self._port = free_port()
        environment = environment_of(servers.stack.environment, url, directory) | {
            "PIXMILL_ENV": "test",
            "PIXMILL_SCHEDULE": ",".join(f"{entry.name}={EVERY}" for entry in SCHEDULE),
            "PIXMILL_EGRESS_ALLOW": "127.0.0.1",
            # Nobody dies who has work: a lease that ran out with the machine would count as an attempt.
            "PIXMILL_LEASE": "300",
            "PIXMILL_SHUTDOWN_TIMEOUT": "1",
            # Those that run: for who is not there the checks take a while, and would keep the worker from other ticks.
            "PIXMILL_SERVICES": f"beat=http://127.0.0.1:{self._port}",
            "REDIS_URL": broker.url,
        }
        self._fleet = Fleet(directory, environment)

    def start(self) -> Running:
        """Beat, once both are ready."""
        queues = ",".join(queue.value for queue in QueueName)
        worker = self._fleet.worker("worker", SHARED, "-P", "threads", "-c", "4", "-Q", queues)
        beat = self._fleet.start("beat", str(BIN / "celery"), "-q", "-A", SHARED, "beat", port=self._port)
        for process in (worker, beat):
            process.wait_ready(180)
        return beat

    def now(self) -> datetime.datetime:
        """Of the clock that ticks are counted by."""
        with self.database.session_scope() as session:
            found: datetime.datetime = session.scalar(text("SELECT clock_timestamp()"))
        return found

    def submit(self, webhook_url: str) -> uuid.UUID:
        data, upload_id = picture(), new_id()
        stored = self.objects / upload_name(upload_id)
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(data)
        new = jobs.NewJob(
            *("default", Stage.RENDER, QueueName.IMAGING, Priority.NORMAL.rank, {"upload_id": str(upload_id)}),
            {"outputs": [{"name": "web", "format": "png", "operations": [{"op": "resize", "width": 64}]}]},
            source_key=upload_name(upload_id),
            source_sha256=hashlib.sha256(data).hexdigest(),
            webhook_url=webhook_url,
        )
        with self.database.session_scope() as session:
            return jobs.insert(session, new)

    def ask(self, task: TaskName) -> uuid.UUID:
        what = requestable(task)
        assert what is not None
        with self.database.session_scope() as session:
            return task_requests.insert(
                session, what, {}, project="default", priority=Priority.NORMAL, requested_by="a test"
            )

    def all(self, table: type[Any]) -> list[Any]:
        with self.database.session_scope() as session:
            return list(session.scalars(select(table)))

    def done(self, since: datetime.datetime) -> set[str]:
        """Entries of which a tick after ``since`` was run to its end."""
        return {run.entry for run in self.all(BeatRun) if run.scheduled_at > since and run.finished_at}

    def close(self) -> None:
        self._fleet.stop()
        self.database.dispose()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    directory = tmp_path / "redis"
    directory.mkdir()
    broker = Broker(directory)
    broker.start()
    yield broker
    broker.stop()
    shutil.rmtree(directory)


@pytest.fixture
def works(servers: Servers, postgres_url: str, broker: Broker, tmp_path: Path) -> Iterator[Works]:
    works = Works(servers, postgres_url, broker, tmp_path)
    yield works
    works.close()


@pytest.fixture
def receiver() -> Iterator[Server]:
    server = Server(answer(204))
    yield server
    server.stop()


def test_worker_that_holds_messages_outlives_the_broker(broker: Broker) -> None:
    """As Celery ends a lost connection, whose channels each hold a message."""
    taken: list[Message] = []
    connection = Connection(broker.url, transport=GuardedTransport)
    for queue in (Queue("one"), Queue("other")):
        channel = connection.channel() if taken else connection.default_channel
        queue(channel).declare()
        connection.Producer(channel).publish({}, routing_key=queue.name, serializer="json")
        Consumer(channel, [queue], on_message=taken.append).consume()
        connection.drain_events(timeout=60)
    assert len(taken) == 2
    broker.kill()
    connection.collect()
    ignore_errors(connection, connection.close)


@pytest.mark.timeout(400)
def test_broker_that_is_down_over_three_ticks_of_everything_leaves_nothing_undone_and_nothing_done_twice(
    broker: Broker, works: Works, receiver: Server
) -> None:
    beat, entries = works.start(), {entry.name for entry in SCHEDULE}
    wait_until(lambda: works.done(works.now() - datetime.timedelta(hours=1)) == entries, 120, "a tick of everything")
    broker.kill()
    wait_until(lambda: "cannot send ticks, waiting" in beat.log, 60, "that beat notices")
    down = works.now()
    made = {works.submit(receiver.url()) for _ in range(JOBS)}
    asked = works.ask(TaskName.EXPIRE_KEYS)
    over = down + datetime.timedelta(seconds=3 * EVERY + 1)
    wait_until(lambda: works.now() > over, 60, "three ticks")
    assert works.done(down) == set()
    assert {job.status for job in works.all(Job)} == {"queued"}
    up = works.now()
    broker.start()

    def all_done() -> bool:
        ended = all(job.status in TERMINAL for job in works.all(Job))
        told = [delivery.status for delivery in works.all(Delivery)]
        requested = all(request.finished_at for request in works.all(TaskRequest))
        return ended and told == ["completed"] * JOBS and requested and works.done(down) == entries

    wait_until(all_done, 180, "the end of all work")
    assert [(job.attempts, job.fence, job.error) for job in works.all(Job)] == [(1, 1, None)] * JOBS
    assert {job.id for job in works.all(Job)} == made
    assert [(request.id, request.status, request.attempts) for request in works.all(TaskRequest)] == [
        (asked, "completed", 1)
    ]
    ids = [conversation.header("webhook-id") for conversation in receiver.seen]
    assert (len(ids), len(set(ids))) == (JOBS, JOBS), "each webhook came once"
    # Of the ticks that were missed only the last is sent; it does what all of them would have.
    missed = {
        run.entry for run in works.all(BeatRun) if down < run.scheduled_at <= up - datetime.timedelta(seconds=EVERY)
    }
    assert missed == set()
    # Maintenance is done by one at a time, and what finds other maintenance under way is left to its next tick.
    gentle = {entry.name for entry in SCHEDULE if entry.queue is not QueueName.MAINTENANCE}
    errors = {
        (run.entry, run.error)
        for run in works.all(BeatRun)
        if run.entry in gentle and run.finished_at and run.scheduled_at > up and run.error
    }
    assert errors == set()
