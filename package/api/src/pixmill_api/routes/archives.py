"""Archives: the outputs of a job or of a batch as one ZIP file."""

import uuid
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from pixmill_api.archive_schemas import ArchiveDocument
from pixmill_api.auth import Caller, Context, Reading, Shared, Writing
from pixmill_api.domain.ids import parse_id
from pixmill_api.domain.media_types import ZIP
from pixmill_api.domain.ranges import matches_etag
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import once_per_key
from pixmill_api.openapi import BINARY, KEYED, OF_FILES, Responses, problems_of, success
from pixmill_api.routes import BASE
from pixmill_api.routes.submitting import RETRY_AFTER, accepted, request_id_of
from pixmill_api.service import archives, built_archives
from pixmill_api.service.archives import Stream

router = APIRouter(prefix=BASE, tags=["archives"])

_ARCHIVE: Final[Responses] = {
    200: {
        "description": "The archive, which breaks off if a file cannot be read",
        "content": {ZIP: {"schema": BINARY}},
        "headers": OF_FILES,
    },
    304: {"description": "The client has it", "headers": OF_FILES},
}


@router.head("/jobs/{job_id}/outputs.zip", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/outputs.zip",
    summary="Get all outputs of a job",
    responses={**_ARCHIVE, **problems_of(404, 409, 503)},
)
async def get_job_outputs(request: Request, job_id: str, context: Shared, caller: Reading) -> Response:
    """As files `{name}.{extension}`."""
    return await _answer(request, archives.stream_job, context, caller, job_id)


@router.head("/batches/{batch_id}/outputs.zip", include_in_schema=False)
@router.get(
    "/batches/{batch_id}/outputs.zip",
    summary="Get all outputs of a batch",
    responses={**_ARCHIVE, **problems_of(404, 409, 503)},
)
async def get_batch_outputs(request: Request, batch_id: str, context: Shared, caller: Reading) -> Response:
    """Of the jobs that are completed, as files `{job_id}/{name}.{extension}`."""
    return await _answer(request, archives.stream_batch, context, caller, batch_id)


@router.post(
    "/batches/{batch_id}/archive",
    status_code=202,
    summary="Build an archive of a batch",
    responses={**success(202, ArchiveDocument), **problems_of(400, 404, 409, 422, 503)},
    openapi_extra=KEYED,
)
async def build_archive(request: Request, batch_id: str, context: Shared, caller: Writing) -> Response:
    """Once, by a worker, to be fetched as often as wanted: for a batch that is large, or fetched by many. The same
    contents have one archive: if it is there or being built, that is the answer. 409 while jobs are under way.
    """
    once, found, request_id = once_per_key(request, context, caller), _id(batch_id), request_id_of(request)
    return await accepted(
        once,
        None,
        lambda session: built_archives.ask_for_archive(context, session, caller, found, request_id=request_id),
    )


@router.get(
    "/batches/{batch_id}/archive",
    summary="Look at the archive of a batch",
    responses={
        **success(200, ArchiveDocument),
        **success(202, ArchiveDocument, headers=("Retry-After",)),
        **problems_of(404, 409, 503),
    },
)
async def get_archive(batch_id: str, context: Shared, caller: Reading) -> Response:
    """The last one that was asked for: 200 when it is there or has failed, 202 while it is being built.
    409 while jobs are under way and nobody has asked for one.
    """
    document = await run_in_threadpool(built_archives.find_archive, context, caller, _id(batch_id))
    if document["state"] in built_archives.BUILDING:
        return JSONResponse(document, 202, {"Retry-After": RETRY_AFTER})
    return JSONResponse(document, headers={"Cache-Control": "private, no-cache"})


async def _answer(
    request: Request,
    find: Callable[[Context, Caller, uuid.UUID], Stream],
    context: Context,
    caller: Caller,
    text: str,
) -> Response:
    stream = await run_in_threadpool(find, context, caller, _id(text))
    headers = {
        "Content-Disposition": f'attachment; filename="{stream.filename}"',
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "none",
    }
    if stream.etag is not None:
        headers["ETag"] = stream.etag
        if matches_etag(request.headers.get("if-none-match"), stream.etag.removeprefix("W/")):
            return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=ZIP)
    blocks = await run_in_threadpool(archives.begun, stream)
    return StreamingResponse(archives.sent(blocks, stream), headers=headers, media_type=ZIP)


def _id(text: str) -> uuid.UUID:
    found = parse_id(text)
    if found is None:
        raise NotFound("There is no such job or batch.")
    return found
