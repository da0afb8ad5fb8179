"""Beats with a heartbeat each second and a worker, what they sent, and ticks sent by hand."""

import datetime
import itertools
import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from celery import Celery
from kombu import Connection
from sqlalchemy import select, text
from tests.faults.armed import Armed
from tests.integration.shared.processes import BIN, Fleet, Gate, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import BeatRun
from pixmill_shared.plumbing.config import declared_queues
from pixmill_shared.plumbing.recorded import TICK_HEADER
from pixmill_shared.plumbing.ticked import header_of

SHARED = "pixmill_shared.celery_app"
SECOND = datetime.timedelta(seconds=1)


class Clockwork:
    """Beats with a heartbeat each second, and a worker."""

    def __init__(self, servers: Servers, url: str, redis_url: str, directory: Path) -> None:
        broker = urlsplit(redis_url)
        self.gate = Gate((broker.hostname or "", broker.port or 0))
        self.armed = Armed(directory / "failpoints")
        self.database = Database(url)
        self._redis_url = redis_url
        through_gate = broker._replace(netloc=f"{broker.netloc.rpartition('@')[0]}@127.0.0.1:{self.gate.port}")
        environment = environment_of(servers.stack.environment, url, directory) | {
            "PIXMILL_ENV": "test",
            "PIXMILL_FAILPOINTS": str(self.armed.directory),
            "PIXMILL_SCHEDULE": "heartbeat=1",
            "REDIS_URL": through_gate.geturl(),
        }
        self.fleet = Fleet(directory, environment)
        with self.database.session_scope() as session:
            session.execute(text("TRUNCATE beat_runs, schedule_entries"))

    def beat(self, **changes: str) -> Running:
        return self.fleet.start("beat", str(BIN / "celery"), "-q", "-A", SHARED, "beat", **changes)

    def worker(self) -> Running:
        return self.fleet.worker("worker", SHARED, "-P", "threads", "-c", "2", "-Q", "default")

    def runs(self, entry: str = "heartbeat") -> list[BeatRun]:
        query = select(BeatRun).where(BeatRun.entry == entry).order_by(BeatRun.scheduled_at)
        with self.database.session_scope() as session:
            return list(session.scalars(query))

    def done(self) -> int:
        return sum(run.finished_at is not None for run in self.runs())

    def settled(self, worker: Running) -> list[BeatRun]:
        """All runs, once no beat is left and the worker has done, and counted, what they sent. One that it did not
        take in time has expired, and never ends.
        """
        # Queues are read in their order: what was sent before this one was taken before it.
        at = datetime.datetime.now(datetime.UTC)
        send(self._redis_url, "sample-queues", TaskName.SAMPLE_QUEUES.value, "default", at)
        wait_until(lambda: any(run.finished_at for run in self.runs("sample-queues") if run.scheduled_at == at), 60)
        wait_until(lambda: all(bool(run.started_at) is bool(run.finished_at) for run in self.runs()), 60, "the end")
        wait_until(lambda: worker.metric("pixmill_tasks_total", "record_heartbeat") >= self.done(), 60, "their count")
        return self.runs()

    def close(self) -> None:
        self.fleet.stop()
        self.gate.shut()
        self.database.dispose()


def gaps(runs: list[BeatRun]) -> list[datetime.timedelta]:
    return [after.scheduled_at - before.scheduled_at for before, after in itertools.pairwise(runs)]


def send(redis_url: str, entry: str, task: str, queue: str, at: datetime.datetime) -> str:
    """As beat does."""
    app = Celery(broker=redis_url, set_as_current=False)
    app.conf.task_queues = declared_queues()
    name = str(uuid.uuid4())
    with Connection(app.conf.broker_url) as connection:
        app.send_task(
            *(task, (), {}),
            task_id=name,
            queue=queue,
            producer=app.amqp.Producer(connection, auto_declare=False),
            ignore_result=True,
            headers={TICK_HEADER: header_of(entry, at), "ignore_result": False},
        )
    return name


def kept(redis_url: str, task_id: str) -> tuple[dict[str, Any], int]:
    """What Celery keeps of a result, and for how long, in seconds."""
    with redis.Redis.from_url(redis_url) as client:
        written = wait_until(lambda: client.get(f"celery-task-meta-{task_id}"), 60, "the result")
        return json.loads(written), int(client.ttl(f"celery-task-meta-{task_id}"))
