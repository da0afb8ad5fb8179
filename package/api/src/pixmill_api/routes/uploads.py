"""``POST /uploads``: bytes first, a job later."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import Request
from starlette.responses import Response

from pixmill_api.auth import Context, Shared, Writing
from pixmill_api.bodies import limited
from pixmill_api.domain.media_types import FORM, essence
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import KEYED, picture_body, problems_of, success
from pixmill_api.routes import router as make_router
from pixmill_api.schemas import UploadDocument, UploadForm
from pixmill_api.service.form_intake import ENVELOPE, received_form
from pixmill_api.service.intake import StoredUpload, accepted_type, kept_if_used
from pixmill_api.service.submission import record_upload

router = make_router("uploads")


@router.post(
    "",
    status_code=201,
    summary="Upload a picture",
    responses={**success(201, UploadDocument), **problems_of(400, 401, 409, 413, 415, 422, 503)},
    openapi_extra={**picture_body(UploadForm), **KEYED},
)
async def create_upload(request: Request, context: Shared, caller: Writing) -> Response:
    """Raw bytes with an image content type, or a form with the field `file`; streamed and hashed on the way.

    Whether the bytes are a picture is judged when a job uses them.
    """
    once = once_per_key(request, context, caller)
    async with _received(request, context) as stored:
        return await once.answer(stored.content(), lambda session: created(201, record_upload(session, caller, stored)))


@asynccontextmanager
async def _received(request: Request, context: Context) -> AsyncIterator[StoredUpload]:
    content_type = request.headers.get("content-type")
    if essence(content_type) == FORM:
        limit = context.max_source_bytes + ENVELOPE
        async with (
            aclosing(limited(request, limit)) as chunks,
            received_form(context, content_type or "", chunks, known=()) as form,
        ):
            yield form.upload
        return
    media_type = accepted_type(content_type)
    async with (
        aclosing(limited(request, context.max_source_bytes)) as chunks,
        kept_if_used(context.runtime.store, chunks, media_type, context.max_source_bytes) as stored,
    ):
        yield stored
