"""Endpoints: receivers of webhooks, their secrets, and what is sent to them by hand."""

import uuid
from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Reading, Shared, Writing
from pixmill_api.bodies import read_json, read_optional_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import KEYED, body, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.parameters import Time
from pixmill_api.reading import read_body
from pixmill_api.routes import router as make_router
from pixmill_api.service import endpoints
from pixmill_api.webhook_schemas import (
    CreatedEndpoint,
    DeliveryDocument,
    EndpointChange,
    EndpointDocument,
    EndpointList,
    EndpointRequest,
    Recovered,
    RotatedSecret,
    RotateRequest,
)

router = make_router("endpoints")

_NOT_KEPT: Final = {"Cache-Control": "no-store"}
"""Of answers that tell a secret."""


@router.get("", summary="List endpoints", responses={**success(200, EndpointList), **problems_of(401, 422, 503)})
async def list_endpoints(
    context: Shared,
    caller: Reading,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """Newest first."""
    return JSONResponse(
        await run_in_threadpool(endpoints.list_endpoints, context, caller, limit=limit, before=before(cursor))
    )


@router.post(
    "",
    status_code=201,
    summary="Make an endpoint",
    responses={
        **success(201, CreatedEndpoint, headers=("Location",)),
        **problems_of(400, 401, 409, 413, 415, 422, 503),
    },
    openapi_extra={**body(EndpointRequest), **KEYED},
)
async def create_endpoint(request: Request, context: Shared, caller: Writing) -> Response:
    """From now on it hears of every event of the project that it asks for. Its secret is in this answer only."""
    once = once_per_key(request, context, caller, secret=True)
    document = await read_json(request, context.settings.max_body_bytes)
    wanted = read_body(EndpointRequest, document)

    def answer(session: Session) -> Response:
        made = endpoints.create(context, session, caller, wanted)
        return created(201, made, {"Location": made["urls"]["self"], **_NOT_KEPT})

    return await once.answer(document, answer)


@router.get(
    "/{endpoint_id}",
    summary="Look at an endpoint",
    responses={**success(200, EndpointDocument), **problems_of(401, 404, 503)},
)
async def get_endpoint(endpoint_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """Without its secrets, and without the values of its headers."""
    return JSONResponse(await run_in_threadpool(endpoints.find_endpoint, context, caller, _id(endpoint_id)))


@router.patch(
    "/{endpoint_id}",
    summary="Change an endpoint",
    responses={**success(200, EndpointDocument), **problems_of(400, 401, 404, 413, 415, 422, 503)},
    openapi_extra=body(EndpointChange),
)
async def change_endpoint(request: Request, endpoint_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """What waits for its next try goes to the new URL. With `disabled: true` nothing is sent to it."""
    found = _id(endpoint_id)
    wanted = read_body(EndpointChange, await read_json(request, context.settings.max_body_bytes))
    return JSONResponse(await run_in_threadpool(endpoints.change, context, caller, found, wanted))


@router.delete(
    "/{endpoint_id}", status_code=204, summary="Delete an endpoint", responses={**problems_of(401, 404, 503)}
)
async def delete_endpoint(endpoint_id: str, context: Shared, caller: Writing) -> Response:
    """With the log of its deliveries. What was not sent yet is not sent any more."""
    await run_in_threadpool(endpoints.delete, context, caller, _id(endpoint_id))
    return Response(status_code=204)


@router.post(
    "/{endpoint_id}/rotate",
    summary="Give an endpoint a new secret",
    responses={**success(200, RotatedSecret), **problems_of(400, 401, 404, 409, 413, 415, 422, 503)},
    openapi_extra={**body(RotateRequest, required=False), **KEYED},
)
async def rotate_secret(request: Request, endpoint_id: str, context: Shared, caller: Writing) -> Response:
    """For a time webhooks carry two signatures, by the new secret and by the former one."""
    once, found = once_per_key(request, context, caller, secret=True), _id(endpoint_id)
    document = await read_optional_json(request, context.settings.max_body_bytes)
    wanted = read_body(RotateRequest, document)

    def answer(session: Session) -> Response:
        return created(200, endpoints.rotate(context, session, caller, found, wanted.secret), _NOT_KEPT)

    return await once.answer(document, answer)


@router.post(
    "/{endpoint_id}/ping",
    status_code=202,
    summary="Send a ping",
    responses={**success(202, DeliveryDocument), **problems_of(400, 401, 404, 409, 422, 503)},
    openapi_extra=KEYED,
)
async def ping_endpoint(request: Request, endpoint_id: str, context: Shared, caller: Writing) -> Response:
    """A webhook of the type `ping`, signed and tried again like any other; the answer is its delivery."""
    once, found = once_per_key(request, context, caller), _id(endpoint_id)

    def answer(session: Session) -> Response:
        made = endpoints.ping(context, session, caller, found)
        return created(202, made, {"Location": made["urls"]["self"], "Retry-After": "1"})

    return await once.answer(None, answer)


@router.post(
    "/{endpoint_id}/recover",
    status_code=202,
    summary="Send again what failed",
    responses={**success(202, Recovered), **problems_of(401, 404, 409, 422, 503)},
)
async def recover_endpoint(
    endpoint_id: str,
    context: Shared,
    caller: Writing,
    since: Annotated[Time, Query(description="of the delivery, as RFC 3339 with a zone")],
) -> JSONResponse:
    """All that failed for good or was left out since then, each once, oldest first. While `has_more`, call again."""
    return JSONResponse(await run_in_threadpool(endpoints.recover, context, caller, _id(endpoint_id), since), 202)


def _id(text: str) -> uuid.UUID:
    endpoint_id = parse_id(text)
    if endpoint_id is None:
        raise NotFound("There is no such endpoint.")
    return endpoint_id
