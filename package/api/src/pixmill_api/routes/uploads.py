"""Uploads: bytes first, a job later. Through the API, or past it into the bucket."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Context, Shared, Writing
from pixmill_api.bodies import limited, read_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.domain.media_types import FORM, essence
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import BINARY, KEYED, Responses, body, picture_body, problems_of, success
from pixmill_api.reading import read_body
from pixmill_api.routes import router as make_router
from pixmill_api.schemas import UploadDocument, UploadForm
from pixmill_api.service import presigning
from pixmill_api.service.form_intake import ENVELOPE, received_form
from pixmill_api.service.intake import StoredUpload, accepted_type, kept_if_used
from pixmill_api.service.submission import record_upload
from pixmill_api.upload_schemas import PresignedUpload, PresignRequest

router = make_router("uploads")

_NOT_KEPT: Final = {"Cache-Control": "no-store"}
_SENT: Final[Responses] = {204: {"description": "The bytes are there; complete the upload"}}
_ANY_BODY: Final = {
    "requestBody": {"required": True, "content": {name: {"schema": BINARY} for name in ("image/*", "*/*")}}
}


@router.post(
    "",
    status_code=201,
    summary="Upload a picture",
    responses={**success(201, UploadDocument), **problems_of(400, 401, 408, 409, 413, 415, 422, 503)},
    openapi_extra={**picture_body(UploadForm), **KEYED},
)
async def create_upload(request: Request, context: Shared, caller: Writing) -> Response:
    """Raw bytes with an image content type, or a form with the field `file`; streamed and hashed on the way.

    Whether the bytes are a picture is judged when a job uses them.
    """
    once = once_per_key(request, context, caller)
    async with _received(request, context) as stored:
        return await once.answer(stored.content(), lambda session: created(201, record_upload(session, caller, stored)))


@router.post(
    "/presign",
    status_code=201,
    summary="Get a URL to upload to",
    responses={**success(201, PresignedUpload), **problems_of(400, 401, 409, 413, 415, 422, 503)},
    openapi_extra={**body(PresignRequest), **KEYED},
)
async def presign_upload(request: Request, context: Shared, caller: Writing) -> Response:
    """The bytes go past the API into the storage, if that is a bucket. Then complete the upload to use it."""
    once = once_per_key(request, context, caller, secret=True)
    document = await read_json(request, context.settings.max_body_bytes)
    wanted = read_body(PresignRequest, document)
    return await once.answer(
        document, lambda session: created(201, presigning.presign(context, session, caller, wanted), _NOT_KEPT)
    )


@router.post(
    "/{upload_id}/complete",
    summary="Complete a presigned upload",
    responses={**success(200, UploadDocument), **problems_of(401, 404, 409, 410, 413, 422, 423, 503)},
)
async def complete_upload(upload_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """Size, media type and hash are looked at again. If they are not what was announced, nothing of the upload is
    left. Asked twice, it answers the same.
    """
    found = parse_id(upload_id)
    if found is None:
        raise NotFound("There is no such upload.")
    return JSONResponse(await presigning.complete(context, caller, found))


@router.put(
    "/{upload_id}/content",
    status_code=204,
    summary="Send the bytes of a presigned upload",
    responses={**_SENT, **problems_of(403, 404, 408, 410, 413, 415, 422, 503)},
    openapi_extra=_ANY_BODY,
)
async def send_upload(
    request: Request,
    upload_id: str,
    context: Shared,
    expires: Annotated[str, Query(description="as in the URL that was given out")],
    signature: Annotated[str, Query(description="as in the URL that was given out")],
) -> Response:
    """Where the storage is a directory, presigned URLs lead here. The signature is the permission."""
    row = await run_in_threadpool(presigning.invited, context, parse_id(upload_id), expires, signature)
    limit = presigning.most(context) if row.length is None else row.length
    async with aclosing(limited(request, limit, context.uploads.idle_timeout)) as chunks:
        await presigning.receive(context, row, chunks, request.headers.get("content-type"))
    return Response(status_code=204)


@asynccontextmanager
async def _received(request: Request, context: Context) -> AsyncIterator[StoredUpload]:
    content_type, idle = request.headers.get("content-type"), context.uploads.idle_timeout
    if essence(content_type) == FORM:
        limit = context.max_source_bytes + ENVELOPE
        async with (
            aclosing(limited(request, limit, idle)) as chunks,
            received_form(context, content_type or "", chunks, known=()) as form,
        ):
            yield form.upload
        return
    media_type = accepted_type(content_type)
    async with (
        aclosing(limited(request, context.max_source_bytes, idle)) as chunks,
        kept_if_used(context.runtime.store, chunks, media_type, context.max_source_bytes) as stored,
    ):
        yield stored
