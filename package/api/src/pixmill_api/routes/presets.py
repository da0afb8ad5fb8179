"""Presets: recipes under a name, in versions. Jobs and batches name them instead of a recipe."""

from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Administering, Reading, Shared
from pixmill_api.bodies import read_json
from pixmill_api.domain.presets import CURSOR_PATTERN, MAX_VERSION, NAME_PATTERN, parse_cursor
from pixmill_api.errors import InvalidRequest
from pixmill_api.openapi import body, problems_of, success
from pixmill_api.paging import Limit
from pixmill_api.parameters import WHOLE
from pixmill_api.preset_schemas import PresetDocument, PresetList, PresetRequest
from pixmill_api.reading import read_preset
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import request_id_of
from pixmill_api.service import preset_changes, preset_documents
from pixmill_api.service.preset_changes import Change
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import Limits

router = make_router("presets")

Name = Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", examples=["web"])]
_IF_MATCH: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "the `ETag` of the preset that is to be changed; if it is another one by now, nothing is",
        }
    ]
}


@router.get("", summary="List presets", responses={**success(200, PresetList), **problems_of(401, 422, 503)})
async def list_presets(
    context: Shared,
    caller: Reading,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN, description="next_cursor of the page before")] = None,
) -> JSONResponse:
    """By name, the newest version of each; the built-in ones too, except where the project has one of that name."""
    after = parse_cursor(cursor) if cursor is not None else None
    if cursor is not None and after is None:
        raise InvalidRequest([JsonError("/query/cursor", "is not a cursor of ours")])
    return JSONResponse(
        await run_in_threadpool(preset_documents.list_presets, context, caller, limit=limit, after=after)
    )


@router.get(
    "/{name}",
    summary="Look at a preset",
    responses={**success(200, PresetDocument, headers=("ETag",)), **problems_of(401, 404, 422, 503)},
)
async def get_preset(
    name: Name,
    context: Shared,
    caller: Reading,
    version: Annotated[
        Annotated[int, Field(ge=0, le=MAX_VERSION), WHOLE] | None,
        Query(description="the newest if not given; 0: the built-in one"),
    ] = None,
) -> JSONResponse:
    """Its newest version, or the one that is asked for. Versions before a deletion are gone."""
    document, etag = await run_in_threadpool(preset_documents.find_preset, context, caller, name, version)
    return JSONResponse(document, headers={"ETag": etag})


@router.put(
    "/{name}",
    summary="Write a preset",
    responses={
        **success(200, PresetDocument, headers=("ETag",)),
        **success(201, PresetDocument, headers=("ETag", "Location")),
        **problems_of(400, 401, 403, 412, 413, 415, 422, 503),
    },
    openapi_extra={**body(PresetRequest), **_IF_MATCH},
)
async def put_preset(request: Request, name: Name, context: Shared, caller: Administering) -> Response:
    """201 for the first version of a preset, 200 for the next ones, and for one that says the same as the newest, of
    which nothing is kept. Jobs that were made keep the recipe that they started with.
    """
    limits = Limits(max_outputs=context.settings.max_outputs)
    wanted, recipe = read_preset(await read_json(request, context.settings.max_body_bytes), limits)
    change = _change(request, caller, name)

    def put() -> Response:
        with context.runtime.database.session_scope() as session:
            version, first = preset_changes.put_preset(session, change, wanted, recipe)
            document, etag = preset_documents.shown(version, context)
        location = {"Location": document["urls"]["self"]} if first else {}
        return JSONResponse(document, 201 if first else 200, {"ETag": etag, **location})

    return await run_in_threadpool(put)


@router.delete(
    "/{name}",
    status_code=204,
    summary="Delete a preset",
    responses=problems_of(401, 403, 404, 409, 412, 422, 503),
    openapi_extra=_IF_MATCH,
)
async def delete_preset(request: Request, name: Name, context: Shared, caller: Administering) -> Response:
    """All its versions; the built-in preset of that name, if there is one, is seen again. 409 for a built-in one."""
    change = _change(request, caller, name)

    def delete() -> None:
        with context.runtime.database.session_scope() as session:
            preset_changes.delete_preset(session, change)

    await run_in_threadpool(delete)
    return Response(status_code=204)


def _change(request: Request, caller: Administering, name: str) -> Change:
    # Of a header that is there twice, its lines are one list.
    if_match = request.headers.getlist("If-Match")
    return Change(caller, name, ", ".join(if_match) if if_match else None, request_id_of(request))
