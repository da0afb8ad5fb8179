"""The end of an upload session: its bytes in one object, looked at, and an upload of the same id in its place."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread

from pixmill_api import metrics
from pixmill_api.errors import UploadLocked
from pixmill_api.service.intake import StoredUpload, discard
from pixmill_api.service.upload_locks import HeldLock
from pixmill_shared.database.models import Upload
from pixmill_shared.domain.objects import incoming_name
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import upload_sessions, uploads
from pixmill_shared.storage import ObjectStore

STORING: Final = CapacityLimiter(16)
"""Threads that write parts or read whole uploads: not those that hold connections to the database."""

Value = TypeVar("Value")


async def in_storage_thread(call: Callable[..., Value], *arguments: Any) -> Value:
    return await to_thread.run_sync(call, *arguments, limiter=STORING)


@dataclass
class Tally:
    """Counts and hashes what passes."""

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()
        self.bytes = 0

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._digest.update(chunk)
            self.bytes += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def finish(store: ObjectStore, held: HeldLock, stored: StoredUpload) -> StoredUpload:
    """Put the upload in the place of its session, in one transaction. Raises UploadLocked if the lock is lost; the
    object goes then.
    """
    failpoint("upload.assembled", stored.id)
    row = held.row
    with held.database.session_scope() as session:
        parts = upload_sessions.parts_of(session, row.id)
        ended = upload_sessions.end(session, row.id, held.owner)
        if ended:
            uploads.add(session, stored.row(row.project))
    if not ended:
        discard(store, stored.key)
        raise UploadLocked
    failpoint("upload.completed", stored.id)
    for key in (
        *(part.key for part in parts),
        *([incoming_name(row.id)] if row.kind == upload_sessions.PRESIGNED else ()),
    ):
        discard(store, key)
    metrics.UPLOADED.inc(stored.bytes)
    return stored


def give_up(store: ObjectStore, held: HeldLock, *keys: str) -> None:
    """The session goes, with its parts, what came past the API, and ``keys``. Rows first: what a crash in between
    leaves is for the nightly sweep."""
    row = held.row
    with held.database.session_scope() as session:
        parts = upload_sessions.parts_of(session, row.id)
        if not upload_sessions.end(session, row.id, held.owner):
            raise UploadLocked
    incoming = [incoming_name(row.id)] if row.kind == upload_sessions.PRESIGNED else []
    for key in (*keys, *(part.key for part in parts), *incoming):
        discard(store, key)


def shown(upload: Upload) -> StoredUpload:
    return StoredUpload(upload.id, upload.key, upload.media_type, upload.sha256, upload.bytes, used=True)
