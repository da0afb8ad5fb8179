"""Resumable uploads, tus 1.0: bytes become safe in parts, and one object in the end.

The id of a tus upload is the ``upload_id`` of what it becomes: there is a session first, and then an upload.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.tus import Checksum
from pixmill_api.errors import BodyTooLarge, Conflict, Gone, NotFound, OffsetRefused, TooMany, UploadLocked
from pixmill_api.service.assembling import Tally, finish, give_up, in_storage_thread
from pixmill_api.service.intake import StoredUpload, discard
from pixmill_api.service.tus_parts import PartWriter
from pixmill_api.service.upload_locks import HeldLock, locked
from pixmill_shared.database.models import Upload
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import assembled_name
from pixmill_shared.repositories import leftovers, upload_sessions, uploads
from pixmill_shared.repositories.upload_sessions import TUS, NewSession, PartRow, UploadSessionRow
from pixmill_shared.storage import ObjectNotFound, ObjectStore
from pixmill_shared.storage.apart import read_apart


@dataclass(frozen=True)
class Progress:
    """``offset`` of ``length`` bytes are safe. ``expires_at`` None: the upload is complete."""

    id: uuid.UUID
    offset: int
    length: int
    metadata: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Body:
    """Of a request that brings bytes from ``offset`` on. ``announced``: how many, if it says so."""

    chunks: AsyncIterator[bytes]
    offset: int
    announced: int | None
    checksum: Checksum | None


@dataclass(frozen=True)
class NewUpload:
    """As the headers of the creation say; ``metadata`` as it was sent."""

    length: int
    media_type: str
    metadata: str | None


def create(context: Context, session: Session, caller: Caller, new: NewUpload) -> Progress:
    """Without bytes. Raises BodyTooLarge, TooMany."""
    settings = context.uploads
    if new.length > context.max_source_bytes:
        raise BodyTooLarge("An upload", context.max_source_bytes)
    row = upload_sessions.insert(
        session,
        NewSession(
            new_id(), caller.project, TUS, new.media_type, settings.session_ttl, new.length, metadata=new.metadata
        ),
        settings.max_sessions,
    )
    if row is None:
        raise TooMany(f"The project has {settings.max_sessions} unfinished uploads already. Complete or delete one.")
    return _progress(row, 0)


async def look(context: Context, caller: Caller, upload_id: uuid.UUID) -> Progress:
    """One that has all its bytes, and whose last request died, is completed. Raises NotFound, Gone, UploadLocked."""
    found = await run_in_threadpool(_find, context, caller, upload_id)
    if isinstance(found, Progress) or found.received != found.length:
        return found if isinstance(found, Progress) else _progress(found, found.received)
    return await write(context, caller, upload_id, None)


async def write(context: Context, caller: Caller, upload_id: uuid.UUID, body: Body | None) -> Progress:
    """Add bytes; with the last one the upload is complete. Without a body: complete it if it has all its bytes.

    Raises NotFound, Gone, UploadLocked, OffsetRefused, BodyTooLarge, ChecksumRefused, and what the chunks raise.
    """
    found = await run_in_threadpool(_find, context, caller, upload_id)
    if isinstance(found, Progress):
        return _nothing_more(found, body)
    try:
        async with locked(context.runtime.database, caller.project, upload_id, TUS) as held:
            offset = held.row.received
            if body is not None:
                offset = await _write(context, held, body)
            if offset == held.row.length:
                with held.busy():
                    await _complete(context, held)
                return Progress(held.row.id, offset, offset, held.row.metadata)
            return _progress(held.row, offset)
    except NotFound:
        # Another request may have completed it between the two looks.
        again = await run_in_threadpool(_find, context, caller, upload_id)
        if isinstance(again, Progress):
            return _nothing_more(again, body)
        raise


async def terminate(context: Context, caller: Caller, upload_id: uuid.UUID) -> None:
    """Unfinished or not, it goes. Raises NotFound, Gone, UploadLocked, and Conflict if a job uses it."""
    found = await run_in_threadpool(_find, context, caller, upload_id)
    if isinstance(found, Progress):
        await run_in_threadpool(_delete_complete, context, upload_id)
        return
    async with locked(context.runtime.database, caller.project, upload_id, TUS) as held:
        await in_storage_thread(give_up, context.runtime.store, held)


async def _write(context: Context, held: HeldLock, body: Body) -> int:
    row = held.row
    if body.offset != row.received:
        raise OffsetRefused(row.received)
    left = (row.length or 0) - row.received
    if body.announced is not None and body.announced > left:
        raise BodyTooLarge("The rest of the upload", left)
    writer = PartWriter(context.runtime.store, held, context.uploads.part_bytes, left, body.checksum)
    await writer.write(body.chunks)
    return writer.offset


async def _complete(context: Context, held: HeldLock) -> None:
    store = context.runtime.store
    stored = await in_storage_thread(_assembled, store, held)
    if stored is None:
        await in_storage_thread(give_up, store, held)
        raise Gone("Bytes of the upload were lost. Begin a new one.")
    await run_in_threadpool(finish, store, held, stored)


def _assembled(store: ObjectStore, held: HeldLock) -> StoredUpload | None:
    """All parts in one object. None: the storage has lost some. Raises StorageUnavailable."""
    row = held.row
    with held.database.session_scope() as session:
        parts = upload_sessions.parts_of(session, row.id)
    key, tally = assembled_name(row.id, new_id()), Tally()
    try:
        # An iterator that is read apart ends at its first empty chunk, and there is none in a stream.
        store.put_stream(key, read_apart(tally.of(_chunks(store, parts))), row.media_type)
    except ObjectNotFound:
        return None
    if tally.bytes != row.length:
        discard(store, key)
        return None
    return StoredUpload(row.id, key, row.media_type, tally.sha256, tally.bytes, metadata=row.metadata)


def _chunks(store: ObjectStore, parts: list[PartRow]) -> Iterator[bytes]:
    for part in parts:
        yield from store.stream(part.key, 0, part.bytes)


def _find(context: Context, caller: Caller, upload_id: uuid.UUID) -> UploadSessionRow | Progress:
    """The session, or, if there is an upload in its place, that it has all its bytes."""
    with context.runtime.database.session_scope() as session:
        row = upload_sessions.find(session, caller.project, upload_id, TUS)
        # After the session: it becomes an upload, never the other way round.
        upload = None if row else uploads.find(session, caller.project, upload_id)
    if row is not None:
        if row.expired:
            raise Gone("The upload was not complete in time. Begin a new one.")
        if row.locked and row.received == row.length:
            raise UploadLocked
        return row
    if upload is None:
        raise NotFound("There is no such upload.")
    return Progress(upload.id, upload.bytes, upload.bytes, upload.client_metadata)


def _nothing_more(found: Progress, body: Body | None) -> Progress:
    if body is not None and body.offset != found.length:
        raise OffsetRefused(found.length)
    if body is not None and body.announced != 0:
        raise BodyTooLarge("The rest of the upload", 0)
    return found


def _delete_complete(context: Context, upload_id: uuid.UUID) -> None:
    with context.runtime.database.session_scope() as session:
        keys = leftovers.delete_unused_uploads(session, [upload_id])
        if not keys and session.get(Upload, upload_id) is not None:
            raise Conflict("A job uses the upload.")
    for key in keys:
        discard(context.runtime.store, key)


def _progress(row: UploadSessionRow, offset: int) -> Progress:
    return Progress(row.id, offset, row.length or 0, row.metadata, row.expires_at)
