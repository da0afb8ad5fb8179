"""Uploads past the API, into the bucket; a directory has no way in of its own, so there the API lends one.

The client writes to an object that nothing else reads. Its URL stays good until it expires, so completion copies the
object first and looks at the copy: what is written afterwards is nobody's.
"""

import datetime
import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.media_types import UNKNOWN, essence
from pixmill_api.errors import (
    BodyTooLarge,
    LinkRefused,
    MediaTypeRefused,
    NotFound,
    RequestError,
    TooEarly,
    TooMany,
    UploadRefused,
)
from pixmill_api.service.assembling import Tally, finish, give_up, in_storage_thread, shown
from pixmill_api.service.intake import StoredUpload
from pixmill_api.service.upload_locks import HeldLock, found, locked
from pixmill_api.upload_schemas import MOST_IN_ONE_PUT, PresignRequest
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import assembled_name, incoming_name
from pixmill_shared.repositories import upload_sessions, uploads
from pixmill_shared.repositories.upload_sessions import PRESIGNED, NewSession, UploadSessionRow
from pixmill_shared.settings.secrets import SecretSettings
from pixmill_shared.storage import ObjectNotFound, ObjectStore

_UNSAID: Final = (UNKNOWN, "binary/octet-stream")
"""What stores note for bytes that came without a media type."""


def presign(context: Context, session: Session, caller: Caller, body: PresignRequest) -> dict[str, Any]:
    """A session, and how to send its bytes. Raises BodyTooLarge, TooMany."""
    limit = most(context)
    if body.bytes is not None and body.bytes > limit:
        raise BodyTooLarge("A picture", limit)
    settings = context.uploads
    new = NewSession(
        new_id(), caller.project, PRESIGNED, body.media_type, settings.session_ttl, body.bytes, body.sha256
    )
    row = upload_sessions.insert(session, new, settings.max_sessions)
    if row is None:
        raise TooMany(f"The project has {settings.max_sessions} unfinished uploads already. Complete or delete one.")
    signed = context.runtime.store.signed_put(incoming_name(row.id), row.expires_at, row.media_type)
    return {
        "upload_id": str(row.id),
        "url": signed.url if signed else _own_url(context, row),
        "method": "PUT",
        "headers": signed.headers if signed else {"Content-Type": row.media_type},
        "expires_at": row.expires_at.isoformat(),
        "max_bytes": limit if row.length is None else row.length,
        "urls": {"complete": f"{context.public_url}/api/v1/uploads/{row.id}/complete"},
    }


def most(context: Context) -> int:
    """Bytes that a presigned upload may have."""
    return min(context.max_source_bytes, MOST_IN_ONE_PUT)


def invited(context: Context, upload_id: uuid.UUID | None, expires: str, signature: str) -> UploadSessionRow:
    """Whose bytes the signed URL takes. Raises LinkRefused, NotFound, Gone."""
    genuine = [hmac.compare_digest(_sign(key, upload_id, expires), signature.encode()) for key in _keys()]
    # Only what was signed is read as a number, so it is one.
    if not any(genuine) or int(expires) <= datetime.datetime.now(datetime.UTC).timestamp() or upload_id is None:
        raise LinkRefused
    return found(context.runtime.database, None, upload_id, PRESIGNED)


async def receive(
    context: Context, row: UploadSessionRow, chunks: AsyncIterator[bytes], content_type: str | None
) -> None:
    """Bytes through the API's own signed URL. Raises MediaTypeRefused, StorageUnavailable, and what chunks raise."""
    if content_type is not None and essence(content_type) != row.media_type:
        raise MediaTypeRefused(f"Send the bytes with Content-Type: {row.media_type}, as was announced.")
    await context.runtime.store.put_stream_async(incoming_name(row.id), chunks, row.media_type)


async def complete(context: Context, caller: Caller, upload_id: uuid.UUID) -> dict[str, Any]:
    """The upload's document, the same however often it is asked for.

    Raises NotFound, Gone, UploadLocked, TooEarly if nothing came yet; UploadRefused and BodyTooLarge if it is not what
    was announced: then nothing of it is left.
    """
    known = await run_in_threadpool(_completed, context, caller, upload_id)
    if known:
        return known.document()
    try:
        async with locked(context.runtime.database, caller.project, upload_id, PRESIGNED) as held:
            with held.busy():
                stored = await in_storage_thread(_judge, context.runtime.store, held, most(context))
                return (await run_in_threadpool(finish, context.runtime.store, held, stored)).document()
    except NotFound:
        # Another request may have completed it between the two looks.
        known = await run_in_threadpool(_completed, context, caller, upload_id)
        if known is None:
            raise
        return known.document()


def _completed(context: Context, caller: Caller, upload_id: uuid.UUID) -> StoredUpload | None:
    with context.runtime.database.session_scope() as session:
        upload = uploads.find(session, caller.project, upload_id)
    return shown(upload) if upload else None


def _judge(store: ObjectStore, held: HeldLock, limit: int) -> StoredUpload:
    row = held.row
    incoming, copy = incoming_name(row.id), assembled_name(row.id, new_id())
    try:
        size = store.head(incoming).size
        if size > (row.length if row.length is not None else limit):
            raise BodyTooLarge("The upload", limit if row.length is None else row.length)
        store.copy(incoming, copy)
        return _looked_at(store, row, copy, limit)
    except ObjectNotFound:
        raise TooEarly("No bytes have come yet. Send them to the URL first.") from None
    except RequestError:
        give_up(store, held, copy)
        raise


def _looked_at(store: ObjectStore, row: UploadSessionRow, key: str, limit: int) -> StoredUpload:
    size = store.head(key).size
    if size > limit:
        raise BodyTooLarge("The upload", limit)
    if row.length is not None and size != row.length:
        raise UploadRefused(f"The upload has {size} bytes, and {row.length} were announced.")
    declared = essence(store.media_type(key))
    if declared and declared not in (row.media_type, *_UNSAID):
        raise UploadRefused(f"The upload was sent as another media type than {row.media_type}, which was announced.")
    tally = Tally()
    for _ in tally.of(store.stream(key, 0, size)):
        pass
    if row.sha256 is not None and tally.sha256 != row.sha256:
        raise UploadRefused("The upload has another sha256 than was announced.")
    return StoredUpload(row.id, key, row.media_type, tally.sha256, tally.bytes)


def _own_url(context: Context, row: UploadSessionRow) -> str:
    expires = str(int(row.expires_at.timestamp()))
    query = urlencode({"expires": expires, "signature": _sign(_keys()[0], row.id, expires).decode()})
    return f"{context.public_url}/api/v1/uploads/{row.id}/content?{query}"


def _keys() -> list[bytes]:
    """The first signs, all verify."""
    keys = SecretSettings.load().keys
    return [hashlib.sha256(b"pixmill upload urls\0" + key.encode()).digest() for key in keys]


def _sign(secret: bytes, upload_id: uuid.UUID | None, expires: str) -> bytes:
    message = f"{upload_id}\n{expires}".encode(errors="replace")
    return hmac.new(secret, message, hashlib.sha256).hexdigest().encode()
