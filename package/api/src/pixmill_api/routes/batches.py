"""Batches: many jobs by one call, looked at, canceled and made again together."""

import uuid
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Reading, Shared, Writing
from pixmill_api.batch_reading import read_batch
from pixmill_api.batch_schemas import BatchDocument, BatchList, BatchRequest, CreatedBatch
from pixmill_api.bodies import read_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import once_per_key
from pixmill_api.openapi import KEYED, body, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import accepted, request_id_of
from pixmill_api.service import batch_documents, batches
from pixmill_api.service.deleting import delete_batch, remove_objects
from pixmill_shared.domain.recipe import Limits

router = make_router("batches")


@router.post(
    "",
    status_code=202,
    summary="Make a batch",
    responses={**success(202, CreatedBatch), **problems_of(400, 401, 409, 413, 415, 422, 429, 503)},
    openapi_extra={**body(BatchRequest), **KEYED},
)
async def create_batch(request: Request, context: Shared, caller: Writing) -> Response:
    """Up to 1,000 jobs (``PIXMILL_MAX_BATCH_ITEMS``) in one transaction. Items that are wrong are `rejected`,
    the others go on; 422 if there is none.
    """
    once, settings = once_per_key(request, context, caller), context.batches
    document = await read_json(request, settings.max_body_bytes)
    limits = Limits(max_outputs=context.settings.max_outputs)
    wanted = await run_in_threadpool(read_batch, document, limits, settings.max_items)
    request_id = request_id_of(request)

    def make(session: Session) -> dict[str, Any]:
        return batches.submit_batch(context, session, caller, wanted, request_id=request_id)

    return await accepted(once, document, make)


@router.get("", summary="List batches", responses={**success(200, BatchList), **problems_of(401, 422, 503)})
async def list_batches(context: Shared, caller: Reading, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Newest first, without the items that were rejected."""
    found = await run_in_threadpool(batch_documents.list_batches, context, caller, limit=limit, before=before(cursor))
    return JSONResponse(found)


@router.get(
    "/{batch_id}", summary="Look at a batch", responses={**success(200, BatchDocument), **problems_of(401, 404, 503)}
)
async def get_batch(batch_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """How its jobs stand, and which items became none."""
    return JSONResponse(await run_in_threadpool(batch_documents.find_batch, context, caller, _id(batch_id)))


@router.post(
    "/{batch_id}/cancel",
    summary="Cancel a batch",
    responses={**success(200, BatchDocument), **problems_of(401, 404, 409, 503)},
)
async def cancel_batch(batch_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """All its jobs that have not ended are `canceled`; asked again, the answer is the same.

    409 if all had completed or failed before.
    """
    return JSONResponse(await run_in_threadpool(batches.cancel_batch, context, caller, _id(batch_id)))


@router.post(
    "/{batch_id}/retry",
    status_code=202,
    summary="Make what failed of a batch again",
    responses={**success(202, CreatedBatch), **problems_of(400, 401, 404, 409, 422, 429, 503)},
    openapi_extra=KEYED,
)
async def retry_batch(request: Request, batch_id: str, context: Shared, caller: Writing) -> Response:
    """A new batch of the jobs that failed or were canceled, whose `retry_of` names the old one. `index` stays that of
    the item in the first batch.
    """
    once = once_per_key(request, context, caller)
    origin, request_id = _id(batch_id), request_id_of(request)
    return await accepted(
        once, None, lambda session: batches.retry_batch(context, session, caller, origin, request_id=request_id)
    )


@router.delete(
    "/{batch_id}",
    status_code=204,
    summary="Delete a batch",
    responses={204: {"description": "It is gone"}, **problems_of(401, 404, 409, 503)},
)
async def remove_batch(batch_id: str, context: Shared, caller: Writing) -> Response:
    """With all its jobs, and their outputs as far as no other job has them. 409 while one of them has not ended."""
    names = await run_in_threadpool(delete_batch, context, caller, _id(batch_id))
    return Response(status_code=204, background=BackgroundTask(remove_objects, context.runtime.store, names))


def _id(text: str) -> uuid.UUID:
    batch_id = parse_id(text)
    if batch_id is None:
        raise NotFound("There is no such batch.")
    return batch_id
