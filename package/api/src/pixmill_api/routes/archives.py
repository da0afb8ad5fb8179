"""Archives: the outputs of a job or of a batch as one ZIP file."""

import uuid
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from pixmill_api.auth import Caller, Context, Reading, Shared
from pixmill_api.domain.ids import parse_id
from pixmill_api.domain.ranges import matches_etag
from pixmill_api.errors import NotFound
from pixmill_api.openapi import BINARY, Responses, problems_of
from pixmill_api.routes import BASE
from pixmill_api.service import archives
from pixmill_api.service.archives import Stream

router = APIRouter(prefix=BASE, tags=["archives"])

_ZIP: Final = "application/zip"
_ARCHIVE: Final[Responses] = {
    200: {
        "description": "The archive, which breaks off if a file cannot be read",
        "content": {_ZIP: {"schema": BINARY}},
    },
    304: {"description": "The client has it"},
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


async def _answer(
    request: Request,
    find: Callable[[Context, Caller, uuid.UUID], Stream],
    context: Context,
    caller: Caller,
    text: str,
) -> Response:
    found = parse_id(text)
    if found is None:
        raise NotFound("There is no such thing.")
    stream = await run_in_threadpool(find, context, caller, found)
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
        return Response(headers=headers, media_type=_ZIP)
    blocks = await run_in_threadpool(archives.begun, stream)
    return StreamingResponse(archives.sent(blocks, stream), headers=headers, media_type=_ZIP)
