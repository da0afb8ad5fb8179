"""Jobs that come and go while something else holds locks: whoever waits for one for longer than a second gives up."""

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.objects import rendition_name
from pixmill_shared.repositories import jobs, renditions
from tests.waiting import eventually

_OLD = "SELECT id FROM {table} WHERE id >= CAST(:place AS uuid) ORDER BY id LIMIT 1"
_FACTS: dict[str, Any] = {
    "recipe_hash": "r",
    "engine": "1",
    "format": "webp",
    "media_type": "image/webp",
    "width": 1,
    "height": 1,
    "bytes": 5,
    "sha256": "s",
    "frames": 1,
}


class Traffic:
    """Each job links an old rendition, if that is there still, makes one, and every third repeats an old job."""

    def __init__(self, url: str, seed: int) -> None:
        self._database = Database(url)
        self._dice = random.Random(seed)
        self._thread = threading.Thread(target=self._run)
        self._over = threading.Event()
        self.completed: list[uuid.UUID] = []
        self.linked = 0
        self.gave_up = 0
        self.longest = 0.0
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)
        self._database.dispose()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                begun = time.monotonic()
                try:
                    self._one_job()
                except DBAPIError as error:
                    if not isinstance(error.orig, LockNotAvailable):
                        raise
                    self.gave_up += 1
                self.longest = max(self.longest, time.monotonic() - begun)
        except BaseException as error:
            self.failure = error

    def _one_job(self) -> None:
        with self._session() as session:
            origin = self._some(session, "jobs") if self._dice.random() < 0.3 else None
            if origin is not None:
                held = "SELECT id FROM jobs WHERE id = :id FOR KEY SHARE"
                origin = session.scalar(text(held), {"id": origin})
            place = ("default", Stage.RENDER, QueueName.IMAGING, 1)
            made = jobs.insert(session, jobs.NewJob(*place, {}, {"outputs": []}, retry_of=origin))
        with self._session() as session:
            claimed = jobs.claim(session, made, Stage.RENDER, "traffic", 30)
            assert claimed
        with self._session() as session:
            outputs = [self._new()]
            old = self._some(session, "renditions")
            if old is not None and renditions.lock(session, {str(old)}):
                outputs.append({**_FACTS, "name": "b", "position": 1, "cached": True, "id": str(old)})
            assert jobs.complete(session, claimed, found={}, sha256="s", made=outputs) is not None
        self.linked += len(outputs) - 1
        self.completed.append(made)

    def _new(self) -> dict[str, Any]:
        rendition_id, key = new_id(), new_id().hex * 2
        named = {"id": str(rendition_id), "key": key, "storage_key": rendition_name(key, rendition_id, "webp")}
        return {**_FACTS, **named, "name": "a", "position": 0, "cached": False}

    def _some(self, session: Session, table: str) -> uuid.UUID | None:
        place = uuid.UUID(int=int((time.time() - self._dice.random() * 30 * 86_400) * 1000) << 80)
        found: uuid.UUID | None = session.scalar(text(_OLD.format(table=table)), {"place": str(place)})
        return found

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._database.session_scope() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            yield session
            # Commits that notify wait for each other, for as long as the disk takes.
            session.execute(text("SET LOCAL lock_timeout = '30s'"))


@contextmanager
def traffic(url: str, threads: int = 2) -> Iterator[list[Traffic]]:
    """Around the block. Raises what went wrong in it."""
    running = [Traffic(url, seed) for seed in range(threads)]
    for each in running:
        each.start()
    try:
        # Under way before the block begins, or a slow start could take as long as all of it.
        eventually(lambda: all(each.completed or each.failure for each in running), 60)
        yield running
    finally:
        for each in running:
            each.stop()
    for each in running:
        if each.failure is not None:
            raise each.failure
