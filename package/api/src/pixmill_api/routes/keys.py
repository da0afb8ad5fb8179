"""API keys of the project: made, looked at, changed, revoked; new webhook secrets."""

import uuid
from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Administering, Shared
from pixmill_api.bodies import read_json, read_optional_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.key_schemas import CreatedApiKey, KeyChange, KeyDocument, KeyList, KeyRequest, RotatedKey
from pixmill_api.openapi import KEYED, body, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.reading import read_body
from pixmill_api.routes import router as make_router
from pixmill_api.service import keys
from pixmill_api.webhook_schemas import RotateRequest

router = make_router("keys")

_NOT_KEPT: Final = {"Cache-Control": "no-store"}
"""Of answers that tell a secret."""


@router.get("", summary="List keys", responses=success(200, KeyList))
async def list_keys(context: Shared, caller: Administering, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Of the project, newest first; those that are revoked too."""
    page = await run_in_threadpool(keys.list_keys, context, caller, limit=limit, before=before(cursor))
    return JSONResponse(page)


@router.post(
    "",
    status_code=201,
    summary="Make a key",
    responses={**success(201, CreatedApiKey, headers=("Location",)), **problems_of(409)},
    openapi_extra={**body(KeyRequest), **KEYED},
)
async def create_key(request: Request, context: Shared, caller: Administering) -> Response:
    """Of the project of the key that asks. Its token and its webhook secret are in this answer only."""
    once = once_per_key(request, context, caller, secret=True)
    document = await read_json(request, context.settings.max_body_bytes)
    wanted = read_body(KeyRequest, document)

    def answer(session: Session) -> Response:
        made = keys.create(context, session, caller, wanted)
        return created(201, made, {"Location": made["urls"]["self"], **_NOT_KEPT})

    return await once.answer(document, answer)


@router.get("/{key_id}", summary="Look at a key", responses=success(200, KeyDocument))
async def get_key(key_id: str, context: Shared, caller: Administering) -> JSONResponse:
    """Without its token and its webhook secret."""
    return JSONResponse(await run_in_threadpool(keys.find_key, context, caller, _id(key_id)))


@router.patch(
    "/{key_id}",
    summary="Change a key",
    responses={**success(200, KeyDocument), **problems_of(409)},
    openapi_extra=body(KeyChange),
)
async def change_key(request: Request, key_id: str, context: Shared, caller: Administering) -> JSONResponse:
    """Its name and its limits, within PIXMILL_KEY_CACHE_TTL seconds. What it may do is settled when it is made."""
    found = _id(key_id)
    changes = read_body(KeyChange, await read_json(request, context.settings.max_body_bytes))
    document, prefix = await run_in_threadpool(keys.change, context, caller, found, changes)
    context.keys.forget(prefix)
    return JSONResponse(document)


@router.delete("/{key_id}", status_code=204, summary="Revoke a key")
async def revoke_key(key_id: str, context: Shared, caller: Administering) -> Response:
    """For good, within PIXMILL_KEY_CACHE_TTL seconds. What was sent with it goes on. A key may revoke itself."""
    context.keys.forget(await run_in_threadpool(keys.revoke, context, caller, _id(key_id)))
    return Response(status_code=204)


@router.post(
    "/{key_id}/rotate",
    summary="Give a key a new webhook secret",
    responses={**success(200, RotatedKey), **problems_of(409)},
    openapi_extra={**body(RotateRequest, required=False), **KEYED},
)
async def rotate_key(request: Request, key_id: str, context: Shared, caller: Administering) -> Response:
    """For a time webhooks carry two signatures, by the new secret and by the former one. The token stays as it is.

    409 while a former secret signs still: whoever verifies with that one would be left alone.
    """
    once, found = once_per_key(request, context, caller, secret=True), _id(key_id)
    document = await read_optional_json(request, context.settings.max_body_bytes)
    wanted = read_body(RotateRequest, document)

    def answer(session: Session) -> Response:
        return created(200, keys.rotate(context, session, caller, found, wanted.secret), _NOT_KEPT)

    return await once.answer(document, answer)


def _id(text: str) -> uuid.UUID:
    key_id = parse_id(text)
    if key_id is None:
        raise NotFound("There is no such key.")
    return key_id
