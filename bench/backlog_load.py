"""Real dispatchers and workers under load: lanes written by many, a lost message, the window, time to the task."""

import base64
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import redis
from bench.backlog_statements import WINDOW, new_job
from PIL import Image
from sqlalchemy import text
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs

WRITERS = 16


def lanes(database: Database, owners: int, seconds: float) -> tuple[float, float]:
    """Jobs a second that sixteen writers insert for so many owners, and how many of them share a turn."""
    counts = [0] * WRITERS
    over = time.monotonic() + seconds

    def write(number: int) -> None:
        while time.monotonic() < over:
            with database.session_scope() as session:
                jobs.insert(session, new_job(f"lane{owners}-{number % owners}"))
            counts[number] += 1

    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dispatch_marks CASCADE"))
    _together([lambda n=n: write(n) for n in range(WRITERS)])
    with database.session_scope() as session:
        turns = session.scalar(text("SELECT count(*) FROM (SELECT DISTINCT owner, turn FROM jobs) AS t"))
    return sum(counts) / seconds, sum(counts) / int(turns or 1)


class Load:
    """Jobs come, and workers of the bench's own take messages from Redis and claim, a little slower than they come."""

    def __init__(self, servers: Servers, directory: Path) -> None:
        self._redis_url = servers.redis_url
        self.url = servers.new_database()
        self.database = Database(self.url, pool_size=8, max_overflow=8)
        self.fleet = Fleet(directory, environment_of(servers.stack.environment, self.url, directory))
        self.done = self.most = 0
        self._over = threading.Event()
        self._lost: dict[uuid.UUID, float] = {}
        self._back: dict[uuid.UUID, float] = {}
        with redis.Redis.from_url(self._redis_url) as client:
            client.flushall()

    def lose_a_message(self, seconds: float) -> float:
        """Seconds until a job is claimed whose message was taken away, while others go on."""
        self.fleet.dispatcher(PIXMILL_WINDOW=str(WINDOW)).wait_ready()
        _together([self._feed, self._work, self._work, lambda: self._watch(seconds)])
        self.fleet.stop()
        self.database.dispose()
        if not self._back:
            raise SystemExit(f"the lost message did not come back in {seconds:g} s")
        (job_id,) = self._lost
        return self._back[job_id] - self._lost[job_id]

    def _feed(self) -> None:
        while not self._over.wait(0.02):
            with self.database.session_scope() as session:
                for n in range(4):
                    jobs.insert(session, new_job(f"p{n}"))

    def _work(self) -> None:
        with redis.Redis.from_url(self._redis_url) as client:
            while not self._over.wait(0.01):
                self.most = max(self.most, int(client.llen("imaging")))
                raw = client.rpop("imaging")
                if raw is not None:
                    self._message(_job_of(raw))

    def _message(self, job_id: uuid.UUID) -> None:
        if self.done > 200 and not self._lost:
            self._lost[job_id] = time.monotonic()
            return
        with self.database.session_scope() as session:
            job = jobs.claim(session, job_id, Stage.RENDER, "bench", 60)
            if job is not None:
                jobs.fail(session, job_id, job.fence, {})
        if job_id in self._lost:
            self._back[job_id] = time.monotonic()
        self.done += 1

    def _watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._back:
            time.sleep(0.05)
        self._over.set()


def _job_of(raw: bytes) -> uuid.UUID:
    body = json.loads(base64.b64decode(json.loads(raw)["body"]))
    return uuid.UUID(body[1]["job_id"])


@contextmanager
def idle_system(servers: Servers, directory: Path) -> Iterator[tuple[Database, Running]]:
    """A dispatcher and a prefork worker that render."""
    stage = Load(servers, directory)
    uploads = Path(stage.fleet.environment["PIXMILL_STORAGE_URL"].removeprefix("file://")) / "uploads"
    uploads.mkdir(parents=True)
    Image.new("RGB", (8, 6), "red").save(uploads / "small.png")
    dispatcher = stage.fleet.dispatcher()
    worker = stage.fleet.worker("worker", "pixmill_imaging.celery_app", "-c", "2", "-Q", "imaging")
    try:
        dispatcher.wait_ready()
        worker.wait_ready()
        yield stage.database, dispatcher
    finally:
        stage.fleet.stop()
        stage.database.dispose()


def commit_to_task(database: Database, count: int) -> tuple[float, float, float]:
    """Milliseconds from the commit to the claim, with which the task begins: p50, p90, p99."""
    waits = []
    rng = random.Random(1)
    for number in range(count + 10):
        new = jobs.NewJob(
            *("default", Stage.RENDER, QueueName.IMAGING, 1),
            source={"upload_id": "u"},
            source_key="uploads/small.png",
            recipe={"outputs": [{"name": "web", "format": "png"}]},
        )
        with database.session_scope() as session:
            job_id = jobs.insert(session, new)
        committed = time.time()
        state = wait_until(lambda job_id=job_id: _ended(database, job_id), 60, "the end of a job")
        if number >= 10:
            waits.append((state.started_at.timestamp() - committed) * 1000)
        time.sleep(rng.uniform(0.05, 0.2))
    cuts = quantiles(waits, n=100)
    return median(waits), cuts[89], cuts[98]


def _ended(database: Database, job_id: uuid.UUID) -> Any:
    sql = "SELECT started_at FROM jobs WHERE id = :id AND finished_at IS NOT NULL"
    with database.session_scope() as session:
        return session.execute(text(sql), {"id": job_id}).one_or_none()


def _together(targets: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def cpu_of(running: Running) -> float:
    """Seconds on a processor so far, as Linux tells."""
    fields = Path(f"/proc/{running.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
