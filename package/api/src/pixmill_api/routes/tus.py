"""Resumable uploads: tus 1.0.0 with creation, creation-with-upload, termination, checksum and expiration."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from email.utils import format_datetime
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from pixmill_api.auth import Context, Reading, Shared, Writing
from pixmill_api.bodies import limited
from pixmill_api.domain import tus as protocol
from pixmill_api.domain.ids import parse_id
from pixmill_api.domain.media_types import essence
from pixmill_api.errors import HeaderMalformed, MediaTypeRefused, NotFound, VersionRefused
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import REPLAYED_HEADER, problems_of
from pixmill_api.routes import BASE
from pixmill_api.routes import router as make_router
from pixmill_api.service import tus
from pixmill_api.service.intake import accepted_type
from pixmill_api.service.tus import Body, NewUpload, Progress
from pixmill_api.tus_openapi import CREATED, CREATES, DELETED, LOOKED, LOOKS, SPOKEN, WRITES, WRITTEN

router = make_router("uploads/tus")

Value = TypeVar("Value")

_NO_STORE: Final = {"Cache-Control": "no-store"}


async def _speaks(request: Request) -> None:
    if request.headers.getlist("tus-resumable") != [protocol.VERSION]:
        raise VersionRefused(protocol.VERSION)


#: After the caller: who has no key learns nothing else.
Version = Annotated[None, Depends(_speaks)]


@router.options("", status_code=204, summary="Ask what is spoken", responses={**SPOKEN})
async def describe_tus(context: Shared) -> Response:
    """Needs no key."""
    return _spoken(context)


@router.options("/{upload_id}", status_code=204, summary="Ask what is spoken, of an upload", responses={**SPOKEN})
async def describe_tus_upload(upload_id: str, context: Shared) -> Response:
    """The same, whether there is such an upload or not."""
    return _spoken(context)


@router.post(
    "",
    status_code=201,
    summary="Begin a resumable upload",
    responses={**CREATED, **problems_of(400, 401, 404, 408, 409, 410, 412, 413, 415, 422, 423, 460, 503)},
    openapi_extra=CREATES,
)
async def create_tus_upload(request: Request, context: Shared, caller: Writing, _: Version) -> Response:
    """With its first bytes, or without. The last part of its URL is the `upload_id`, once all bytes are there."""
    once, new = once_per_key(request, context, caller), _new(request)
    async with _body(request, context, 0) as body:
        made: list[Progress] = []

        def make(session: Session) -> Response:
            made.append(tus.create(context, session, caller, new))
            return created(201, {}, {"Location": _url(context, made[0].id)})

        answer = await once.answer([new.length, new.metadata], make)
        location = answer.headers["Location"]
        if made:
            progress = made[0]
            if new.length == 0 or body.announced != 0:
                progress = await tus.write(context, caller, progress.id, body)
        else:
            progress = await tus.look(context, caller, uuid.UUID(location.rpartition("/")[2]))
    replayed = {REPLAYED_HEADER: "true"} if REPLAYED_HEADER in answer.headers else {}
    return Response(status_code=201, headers={"Location": location, **replayed, **_headers(progress)})


@router.head(
    "/{upload_id}",
    summary="See how far a resumable upload is",
    responses={**LOOKED, **problems_of(401, 404, 410, 412, 423, 503)},
    openapi_extra=LOOKS,
)
async def look_at_tus_upload(upload_id: str, context: Shared, caller: Reading, _: Version) -> Response:
    """`Upload-Offset` is where to go on."""
    progress = await tus.look(context, caller, _id(upload_id))
    headers = {"Upload-Length": str(progress.length), **_NO_STORE, **_headers(progress)}
    if progress.metadata:
        headers["Upload-Metadata"] = progress.metadata
    return Response(headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    summary="Go on with a resumable upload",
    responses={**WRITTEN, **problems_of(400, 401, 404, 408, 409, 410, 412, 413, 415, 423, 460, 503)},
    openapi_extra=WRITES,
)
async def write_tus_upload(request: Request, upload_id: str, context: Shared, caller: Writing, _: Version) -> Response:
    """If the request breaks off, what came before is kept. With the last byte the upload is complete."""
    if essence(request.headers.get("content-type")) != protocol.OFFSET_STREAM:
        raise MediaTypeRefused(f"Send the bytes with Content-Type: {protocol.OFFSET_STREAM}.")
    offset = _read(protocol.read_number, "Upload-Offset", _one(request, "Upload-Offset"))
    async with _body(request, context, offset) as body:
        progress = await tus.write(context, caller, _id(upload_id), body)
    return Response(status_code=204, headers=_headers(progress))


@router.delete(
    "/{upload_id}",
    status_code=204,
    summary="Give up a resumable upload",
    responses={**DELETED, **problems_of(401, 404, 409, 410, 412, 423, 503)},
    openapi_extra=LOOKS,
)
async def delete_tus_upload(upload_id: str, context: Shared, caller: Writing, _: Version) -> Response:
    """Unfinished or complete, unless a job uses it."""
    await tus.terminate(context, caller, _id(upload_id))
    return Response(status_code=204)


def _spoken(context: Context) -> Response:
    headers = {
        "Tus-Version": protocol.VERSION,
        "Tus-Max-Size": str(context.max_source_bytes),
        "Tus-Extension": ",".join(protocol.EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(protocol.ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


def _new(request: Request) -> NewUpload:
    if "upload-defer-length" in request.headers:
        raise HeaderMalformed("Upload-Defer-Length is not spoken here: send Upload-Length.")
    length = _read(protocol.read_number, "Upload-Length", _one(request, "Upload-Length"))
    text = _one(request, "Upload-Metadata")
    media_type = _read(protocol.media_type_of, _read(protocol.read_metadata, text or ""))
    return NewUpload(length, accepted_type(media_type or None), text)


@asynccontextmanager
async def _body(request: Request, context: Context, offset: int) -> AsyncIterator[Body]:
    text = _one(request, "Upload-Checksum")
    checksum = None if text is None else _read(protocol.read_checksum, text)
    announced = _announced(request)
    if announced != 0 and essence(request.headers.get("content-type")) != protocol.OFFSET_STREAM:
        raise MediaTypeRefused(f"Send the bytes with Content-Type: {protocol.OFFSET_STREAM}.")
    async with aclosing(limited(request, context.max_source_bytes, context.uploads.idle_timeout)) as chunks:
        yield Body(chunks, offset, announced, checksum)


def _announced(request: Request) -> int | None:
    if "transfer-encoding" in request.headers:
        return None
    return int(request.headers.get("content-length", "0"))


def _one(request: Request, name: str) -> str | None:
    found = request.headers.getlist(name)
    if len(found) > 1:
        raise HeaderMalformed(f"{name} is there more than once.")
    return found[0] if found else None


def _read(reader: Callable[..., Value], *arguments: object) -> Value:
    try:
        return reader(*arguments)
    except ValueError as error:
        raise HeaderMalformed(str(error)) from None


def _headers(progress: Progress) -> dict[str, str]:
    headers = {"Upload-Offset": str(progress.offset)}
    if progress.expires_at is not None:
        headers["Upload-Expires"] = format_datetime(progress.expires_at, usegmt=True)
    return headers


def _url(context: Context, upload_id: uuid.UUID) -> str:
    return f"{context.public_url}{BASE}/uploads/tus/{upload_id}"


def _id(text: str) -> uuid.UUID:
    found = parse_id(text)
    if found is None:
        raise NotFound("There is no such upload.")
    return found
