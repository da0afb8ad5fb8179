"""Deliveries: the log of webhooks, and one sent again."""

import uuid
from typing import Annotated

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Reading, Shared, Writing
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import KEYED, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.parameters import Id
from pixmill_api.repositories.webhook_views import WhichDeliveries
from pixmill_api.routes import router as make_router
from pixmill_api.service import delivery_documents
from pixmill_api.webhook_schemas import DeliveryDocument, DeliveryList
from pixmill_shared.domain.jobs import JobStatus

router = make_router("deliveries")


@router.get("", summary="List deliveries", responses={**success(200, DeliveryList), **problems_of(401, 422, 503)})
async def list_deliveries(
    context: Shared,
    caller: Reading,
    endpoint: Annotated[Id | None, Query(description="those to this endpoint")] = None,
    job: Annotated[Id | None, Query(description="those that tell of this job")] = None,
    status: JobStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """Newest first, each with its tries."""
    which = WhichDeliveries(caller.project, endpoint, job, status)
    found = await run_in_threadpool(
        delivery_documents.list_deliveries, context, which, limit=limit, before=before(cursor)
    )
    return JSONResponse(found)


@router.get(
    "/{delivery_id}",
    summary="Look at a delivery",
    responses={**success(200, DeliveryDocument), **problems_of(401, 404, 503)},
)
async def get_delivery(delivery_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """All its tries, with the start of what the receiver answered."""
    return JSONResponse(await run_in_threadpool(delivery_documents.find_delivery, context, caller, _id(delivery_id)))


@router.post(
    "/{delivery_id}/resend",
    status_code=202,
    summary="Send a delivery again",
    responses={**success(202, DeliveryDocument), **problems_of(400, 401, 404, 409, 422, 503)},
    openapi_extra=KEYED,
)
async def resend_delivery(request: Request, delivery_id: str, context: Shared, caller: Writing) -> Response:
    """A new delivery of the same event, under the same `webhook-id`; what waits for its next try is sent now."""
    once, found = once_per_key(request, context, caller), _id(delivery_id)

    def answer(session: Session) -> Response:
        made = delivery_documents.resend(context, session, caller, found)
        return created(202, made, {"Location": made["urls"]["self"], "Retry-After": "1"})

    return await once.answer(None, answer)


def _id(text: str) -> uuid.UUID:
    delivery_id = parse_id(text)
    if delivery_id is None:
        raise NotFound("There is no such delivery.")
    return delivery_id
