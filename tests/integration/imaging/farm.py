"""Workers that render, as threads over one real database: a dispatcher's loop, claims, leases, an engine that counts.

Run as a program, it is a worker that never gets beyond the decode; its arguments are those of ``main``.
"""

import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, text

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.finish import render_and_finish
from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Job, Output, Rendition
from pixmill_shared.domain.jobs import TERMINAL, Stage
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.claims import Check, unchecked
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.settings.work import WorkSettings
from pixmill_shared.storage import ObjectStore, open_store
from pixmill_shared.storage.places import Places
from pixmill_shared.storage.signing import FileUrlSigner

SIGNER = FileUrlSigner(lambda: ["k" * 32])
PICTURE = jpeg(photo(120, 90))


def directory(path: str) -> ObjectStore:
    return open_store(StorageSettings(url=f"file://{path}"), SIGNER, "http://x")


class CountingLoader:
    """Pillow's, with what a test wants to happen before a decode."""

    name = "pillow"

    def __init__(self) -> None:
        self._loader = PillowLoader()
        self.decodes = 0
        self.before_decode: Callable[[int], None] = lambda _number: None

    def open(self, data: bytes, source_format: Any) -> Any:
        return _Opened(self, self._loader.open(data, source_format))


class _Opened:
    def __init__(self, loader: CountingLoader, opened: Any) -> None:
        self._loader, self._opened, self.header = loader, opened, opened.header

    def pixels(self, *arguments: Any) -> Any:
        self._loader.decodes += 1
        self._loader.before_decode(self._loader.decodes)
        return self._opened.pixels(*arguments)


class CountingStore:
    """A real store; how often each object was written and read."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.puts: list[str] = []
        self.gets: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, data: bytes, media_type: str) -> None:
        self.puts.append(key)
        self._store.put(key, data, media_type)

    def get(self, key: str) -> bytes:
        self.gets.append(key)
        return self._store.get(key)


def recipe(*widths: int, **more: Any) -> dict[str, Any]:
    """An output a width."""
    return {
        "outputs": [
            {"name": f"w{width}", "format": "png", "operations": [{"op": "resize", "width": width}], **more}
            for width in widths
        ]
    }


@dataclass
class Farm:
    """``lease`` in seconds is that of each claim."""

    database: Database
    store: Any
    places: Places | None = None
    lease: float = 60
    loader: CountingLoader = field(default_factory=CountingLoader)

    def __post_init__(self) -> None:
        self.runtime = Runtime()
        self.runtime.__dict__.update(database=self.database, work=WorkSettings(lease=self.lease))
        self.engine = Engine(self.loader, PixelLimits())

    def submit(self, recipe: dict[str, Any], *, data: bytes = PICTURE, **changes: Any) -> uuid.UUID:
        """A job of an upload."""
        import hashlib

        sha256 = hashlib.sha256(data).hexdigest()
        self.store._store.put(f"uploads/{sha256}", data, "image/jpeg")
        values: dict[str, Any] = {
            "project": "default",
            "stage": Stage.RENDER,
            "queue": QueueName.IMAGING,
            "priority": 1,
            "source": {"upload_id": "u", "bytes": len(data), "sha256": sha256},
            "source_key": f"uploads/{sha256}",
            "source_sha256": sha256,
            "recipe": recipe,
            **changes,
        }
        with self.database.session_scope() as session:
            return jobs.insert(session, jobs.NewJob(**values))

    def claim(self, job_id: uuid.UUID, lease: float | None = None) -> jobs.ClaimedJob:
        with self.database.session_scope() as session:
            job = jobs.claim(session, job_id, Stage.RENDER, "w", lease or self.lease)
        assert job is not None
        return job

    def render(self, job: jobs.ClaimedJob, check: Check = unchecked) -> None:
        render_and_finish(job, self.database, self.store, self.engine, self.places, check=check)

    def run(self, job_id: uuid.UUID) -> None:
        """One message: claim, body, recorded end."""
        run_stage(*(self.runtime, str(job_id), Stage.RENDER, TaskName.RENDER_JOB), self.render)

    def job(self, job_id: uuid.UUID) -> Job:
        with self.database.session_scope() as session:
            return session.get_one(Job, job_id)

    def outputs(self, job_id: uuid.UUID) -> dict[str, tuple[str, bool]]:
        """The rendition's key in the storage and ``cached``, by name."""
        query = select(Output, Rendition).join(Rendition).where(Output.job_id == job_id)
        with self.database.session_scope() as session:
            return {o.name: (r.storage_key, o.cached) for o, r in session.execute(query)}

    def scalar(self, sql: str) -> Any:
        with self.database.session_scope() as session:
            return session.execute(text(sql)).scalar_one()

    @contextmanager
    def working(self, workers: int, looks: bool = True) -> Iterator[None]:
        """A dispatcher, which ``looks`` for ripe and lost rows once a second, or never, and ``workers`` threads."""
        messages: queue.SimpleQueue[uuid.UUID | None] = queue.SimpleQueue()
        over = threading.Event()

        def dispatch() -> None:
            recovered = 0.0
            while not over.is_set():
                with self.database.session_scope() as session:
                    if looks and time.monotonic() - recovered > 1:
                        recovered = time.monotonic()
                        jobs.WORK.ripen(session)
                        jobs.WORK.expire_leases(session, 3)
                    due = jobs.WORK.take_due(session, [QueueName.IMAGING], 1000)
                for row in due:
                    messages.put(row.id)
                over.wait(0.01)

        def work() -> None:
            while (job_id := messages.get()) is not None:
                self.run(job_id)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        threads.append(threading.Thread(target=dispatch))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for _ in range(workers):
                messages.put(None)
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads), "a thread hangs"

    def all_ended(self) -> bool:
        living = ", ".join(f"'{status}'" for status in sorted(TERMINAL))
        return bool(self.scalar(f"SELECT count(*) = 0 FROM jobs WHERE status NOT IN ({living})"))


def main(url: str, path: str, job_id: str, lease: str) -> None:
    """Reserve, read the source, and say so; then work for ever."""
    farm = Farm(Database(url), CountingStore(directory(path)), lease=float(lease))

    def stuck(_number: int) -> None:
        print("decoding", flush=True)
        time.sleep(600)

    farm.loader.before_decode = stuck
    farm.run(uuid.UUID(job_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
