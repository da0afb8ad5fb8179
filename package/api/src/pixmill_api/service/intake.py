"""Bytes that come in: into the storage while they are counted and hashed, in constant memory."""

import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import DBAPIError

from pixmill_api import metrics
from pixmill_api.domain.media_types import FORM, UNKNOWN, upload_type
from pixmill_api.errors import BodyTooLarge, InvalidRequest, MediaTypeRefused
from pixmill_shared.database.models import Upload
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.objects import upload_name
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.storage import ObjectStore, StorageUnavailable

log = get_logger(__name__)


@dataclass
class StoredUpload:
    """An object that is complete, and not yet a row. ``used``: a transaction that writes the row was begun;
    ``metadata``: as a client of tus sent it.
    """

    id: uuid.UUID
    key: str
    media_type: str
    sha256: str
    bytes: int
    used: bool = False
    metadata: str | None = None

    def row(self, project: str) -> Upload:
        """From now on the object may be needed."""
        self.used = True
        return Upload(
            id=self.id,
            project=project,
            key=self.key,
            sha256=self.sha256,
            bytes=self.bytes,
            media_type=self.media_type,
            client_metadata=self.metadata,
        )

    def content(self) -> dict[str, Any]:
        """What came in, whatever it is called here."""
        return {"sha256": self.sha256, "bytes": self.bytes, "media_type": self.media_type}

    def document(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "upload_id": str(self.id),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "media_type": self.media_type,
        }


@asynccontextmanager
async def kept_if_used(
    store: ObjectStore, chunks: AsyncIterator[bytes], media_type: str, limit: int, *, at: str = ""
) -> AsyncIterator[StoredUpload]:
    """Store the chunks; if the block fails or does not use it, the object goes again. ``at``: where in the request
    they are, as a JSON pointer.

    Raises BodyTooLarge, StorageUnavailable, and InvalidRequest if there are none.
    """
    upload = await _receive(store, chunks, media_type, limit, at)
    try:
        yield upload
    except BaseException as error:
        if not (upload.used and _may_be_committed(error)):
            await _remove(store, upload)
        raise
    if not upload.used:
        await _remove(store, upload)
        return
    metrics.UPLOADED.inc(upload.bytes)


def _may_be_committed(error: BaseException) -> bool:
    """Nobody knows: the connection broke, or the request was cancelled while a thread had it. An object without a row
    is swept later; a row without its object would be a loss."""
    return not isinstance(error, Exception) or (isinstance(error, DBAPIError) and error.connection_invalidated)


async def _remove(store: ObjectStore, upload: StoredUpload) -> None:
    # Also when the server is stopping: the task is cancelled, the object must go none the less.
    with anyio.CancelScope(shield=True):
        await run_in_threadpool(discard, store, upload.key)


async def _receive(
    store: ObjectStore, chunks: AsyncIterator[bytes], media_type: str, limit: int, at: str
) -> StoredUpload:
    digest = hashlib.sha256()
    size = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal size
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge("A picture", limit)
            digest.update(chunk)
            yield chunk
        if size == 0:
            raise InvalidRequest([JsonError(at, "has no bytes: send those of a picture")])

    upload_id = new_id()
    key = upload_name(upload_id)
    await store.put_stream_async(key, counted(), media_type)
    return StoredUpload(upload_id, key, media_type, digest.hexdigest(), size)


def accepted_type(content_type: str | None) -> str:
    """The media type to note. Raises MediaTypeRefused."""
    media_type = upload_type(content_type)
    if media_type is None:
        raise MediaTypeRefused(
            f"Send the picture with Content-Type: image/… or {UNKNOWN}, or as the field `file` of a {FORM} body."
        )
    return media_type


def discard(store: ObjectStore, key: str) -> None:
    """Delete, or leave it to the nightly sweep."""
    try:
        store.delete(key)
    except StorageUnavailable:
        log.warning("an object without a row stays in the storage", key=key)
