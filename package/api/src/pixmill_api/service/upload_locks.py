"""One request at a time writes to an upload session, in whichever process it is."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
from fastapi.concurrency import run_in_threadpool

from pixmill_api.errors import Gone, NotFound, UploadLocked
from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.domain.ids import new_id
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import upload_sessions
from pixmill_shared.repositories.upload_sessions import UploadSessionRow

log = get_logger(__name__)

LASTS: Final = 8.0
"""Seconds that a lock lasts after it was renewed: so long an upload waits whose process was killed."""
RENEWED: Final = 2.0
"""Seconds between renewals, of a request that gets bytes or writes them. One that is left waiting for bytes loses its
lock to the next request: most often that is the same client, whose connection broke without a word."""


class HeldLock:
    """``row`` is as the holder found it. ``alive()`` tells that bytes came; within ``busy()`` none need come."""

    def __init__(self, database: Database, row: UploadSessionRow, owner: str) -> None:
        self.database = database
        self.row = row
        self.owner = owner
        self._seen = True
        self._busy = 0

    def alive(self) -> None:
        self._seen = True

    @contextmanager
    def busy(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._seen = True

    async def keep(self) -> None:
        """Until it is cancelled, or the lock is lost."""
        while True:
            await asyncio.sleep(RENEWED)
            if not (self._busy or self._seen):
                continue
            self._seen = False
            try:
                if not await run_in_threadpool(self._renew):
                    return
            except DatabaseUnavailable:
                log.warning("a lock was not renewed", upload_id=str(self.row.id))

    def release(self) -> None:
        """If the database is away, the lock ends by itself."""
        with contextlib.suppress(*DatabaseUnavailable), self.database.session_scope() as session:
            upload_sessions.unlock(session, self.row.id, self.owner)

    def _renew(self) -> bool:
        with self.database.session_scope() as session:
            return upload_sessions.renew(session, self.row.id, self.owner, LASTS)


@asynccontextmanager
async def locked(database: Database, project: str, session_id: uuid.UUID, kind: str) -> AsyncIterator[HeldLock]:
    """Raises NotFound, Gone, UploadLocked."""
    held = await run_in_threadpool(_take, database, project, session_id, kind)
    keeper = asyncio.create_task(held.keep())
    try:
        yield held
    finally:
        keeper.cancel()
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(held.release)


def found(database: Database, project: str | None, session_id: uuid.UUID, kind: str) -> UploadSessionRow:
    """``project`` None: whosever it is. Raises NotFound, Gone."""
    with database.session_scope() as session:
        row = upload_sessions.find(session, project, session_id, kind)
    if row is None:
        raise NotFound("There is no such unfinished upload.")
    if row.expired:
        raise Gone("The upload was not complete in time. Begin a new one.")
    return row


def _take(database: Database, project: str, session_id: uuid.UUID, kind: str) -> HeldLock:
    found(database, project, session_id, kind)
    owner = str(new_id())
    with database.session_scope() as session:
        row = upload_sessions.lock(session, session_id, owner, LASTS)
    if row is None:
        found(database, project, session_id, kind)
        raise UploadLocked
    return HeldLock(database, row, owner)
