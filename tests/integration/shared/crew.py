"""Workers that render as real processes, over a database and a storage of their own, and places to strike at."""

import contextlib
import hashlib
import io
import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import select, text
from tests.faults.armed import Armed
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter, Job, JobEvent
from pixmill_shared.domain.jobs import TERMINAL, Stage
from pixmill_shared.repositories import jobs

IMAGING = "pixmill_imaging.celery_app"


def picture(width: int = 320, height: int = 240) -> bytes:
    """A JPEG that is different at each call, so that nothing is found to be made already."""
    noise = Image.frombytes("RGB", (16, 12), os.urandom(16 * 12 * 3)).resize((width, height))
    file = io.BytesIO()
    noise.save(file, "JPEG")
    return file.getvalue()


class Crew:
    """A fleet whose dispatcher looks five times a second. ``settings`` are variables of all its processes."""

    def __init__(self, servers: Servers, database_url: str, directory: Path, **settings: str) -> None:
        self.failpoints = directory / "failpoints"
        self.failpoints.mkdir()
        self.objects = directory / "objects"
        self.database = Database(database_url)
        environment = environment_of(servers.stack.environment, database_url, directory)
        environment |= {
            "PIXMILL_ENV": "test",
            "PIXMILL_FAILPOINTS": str(self.failpoints),
            "PIXMILL_DISPATCH_POLL": "0.2",
            "PIXMILL_REDISPATCH_AFTER": "60",
            **settings,
        }
        self.fleet = Fleet(directory, environment)

    def worker(self, name: str, *options: str, **changes: str | None) -> Running:
        """Of the rendering queues, with one process if not told otherwise."""
        return self.fleet.worker(name, IMAGING, "-Q", "imaging", *(options or ("-c", "1")), **changes)

    def dispatch(self) -> None:
        """Start a dispatcher, once all that was started before is ready."""
        for running in self.fleet.started:
            running.wait_ready(120)
        self.fleet.dispatcher().wait_ready(120)

    def submit(self, *, data: bytes | None = None, outputs: list[dict[str, Any]] | None = None) -> uuid.UUID:
        """A job of an upload; one small output if not told otherwise."""
        data = data or picture()
        name = hashlib.sha256(data).hexdigest()
        stored = self.objects / "uploads" / name
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(data)
        small = {"name": "web", "format": "png", "operations": [{"op": "resize", "width": 64}]}
        new = jobs.NewJob(
            project="default",
            stage=Stage.RENDER,
            queue=QueueName.IMAGING,
            priority=1,
            source={"upload_id": name},
            source_key=f"uploads/{name}",
            source_sha256=name,
            recipe={"outputs": outputs or [small]},
        )
        with self.database.session_scope() as session:
            return jobs.insert(session, new)

    def arm(self, failpoint: str, job_id: uuid.UUID, action: str, **order: Any) -> None:
        """Before the job is submitted would be too early to know its id: hold the dispatcher back, or a worker."""
        Armed(self.failpoints).arm(failpoint, action, str(job_id), **order)

    def disarm(self, failpoint: str, job_id: uuid.UUID) -> None:
        (self.failpoints / f"{failpoint}@{job_id}").unlink(missing_ok=True)

    def strikes(self, job_id: uuid.UUID) -> list[dict[str, Any]]:
        """What has struck, the first first, with the ``file`` whose removal ends a pause."""
        files = sorted((self.failpoints / "struck").glob("*"))
        found = [{**json.loads(file.read_text()), "file": file} for file in files]
        return [strike for strike in found if strike["key"] == str(job_id)]

    def struck(self, job_id: uuid.UUID, seconds: float = 90) -> dict[str, Any]:
        return wait_until(lambda: self.strikes(job_id), seconds, "the strike")[0]

    def job(self, job_id: uuid.UUID) -> Job:
        with self.database.session_scope() as session:
            return session.get_one(Job, job_id)

    def ended(self, job_id: uuid.UUID, seconds: float = 90) -> Job:
        wait_until(lambda: self.job(job_id).status in TERMINAL, seconds, f"the end of {job_id}")
        return self.job(job_id)

    def events(self, job_id: uuid.UUID) -> list[str]:
        with self.database.session_scope() as session:
            return list(session.scalars(select(JobEvent.type).where(JobEvent.job_id == job_id)))

    def letters(self, job_id: uuid.UUID) -> list[DeadLetter]:
        with self.database.session_scope() as session:
            letters = session.scalars(select(DeadLetter)).all()
        return [letter for letter in letters if letter.payload == {"job_id": str(job_id)}]

    def execute(self, sql: str) -> None:
        with self.database.session_scope() as session:
            session.execute(text(sql))

    def outputs(self) -> list[str]:
        """The files of renditions, those of killed writers too."""
        return sorted(str(path.relative_to(self.objects)) for path in self.objects.glob("renditions/*/*/*"))

    def close(self) -> None:
        self.fleet.stop()
        self.database.dispose()


@contextlib.contextmanager
def stopped(worker: Running) -> Iterator[None]:
    """The worker and its children stand still, as on a machine that was put to sleep."""
    pids = [worker.popen.pid, *worker.children]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
