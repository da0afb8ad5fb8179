"""Pipelines: places that are looked at by a schedule, and whose new pictures become jobs."""

import uuid
from typing import Annotated

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Reading, Shared, Writing
from pixmill_api.bodies import read_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import KEYED, body, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.parameters import Flag
from pixmill_api.pipeline_schemas import (
    ItemList,
    PipelineChange,
    PipelineDocument,
    PipelineList,
    PipelineRequest,
    RunDocument,
    RunList,
)
from pixmill_api.reading import read_body
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import RETRY_AFTER, request_id_of
from pixmill_api.service import pipeline_documents, pipelines

router = make_router("pipelines")


@router.get("", summary="List pipelines", responses={**success(200, PipelineList), **problems_of(401, 422, 503)})
async def list_pipelines(context: Shared, caller: Reading, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Newest first."""
    return JSONResponse(
        await run_in_threadpool(pipeline_documents.list_pipelines, context, caller, limit=limit, before=before(cursor))
    )


@router.post(
    "",
    status_code=201,
    summary="Make a pipeline",
    responses={
        **success(201, PipelineDocument, headers=("Location",)),
        **problems_of(400, 401, 409, 413, 415, 422, 503),
    },
    openapi_extra={**body(PipelineRequest), **KEYED},
)
async def create_pipeline(request: Request, context: Shared, caller: Writing) -> Response:
    """It looks for the first time when its cron expression says; `run` has it look at once."""
    once = once_per_key(request, context, caller)
    document = await read_json(request, context.settings.max_body_bytes)
    wanted = read_body(PipelineRequest, document)

    def answer(session: Session) -> Response:
        made = pipelines.create(context, session, caller, wanted)
        return created(201, made, {"Location": made["urls"]["self"]})

    return await once.answer(document, answer)


@router.get(
    "/{pipeline_id}",
    summary="Look at a pipeline",
    responses={**success(200, PipelineDocument), **problems_of(401, 404, 503)},
)
async def get_pipeline(pipeline_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """When it looks next, and how it fares."""
    return JSONResponse(await run_in_threadpool(pipeline_documents.find_pipeline, context, caller, _id(pipeline_id)))


@router.patch(
    "/{pipeline_id}",
    summary="Change a pipeline",
    responses={**success(200, PipelineDocument), **problems_of(400, 401, 404, 413, 415, 422, 503)},
    openapi_extra=body(PipelineChange),
)
async def change_pipeline(request: Request, pipeline_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """A run that is under way ends; the next one does what it left. What became a job does not become another one."""
    found = _id(pipeline_id)
    wanted = read_body(PipelineChange, await read_json(request, context.settings.max_body_bytes))
    return JSONResponse(await run_in_threadpool(pipelines.change, context, caller, found, wanted))


@router.delete(
    "/{pipeline_id}",
    status_code=204,
    summary="Delete a pipeline",
    responses={204: {"description": "It is gone"}, **problems_of(401, 404, 503)},
)
async def delete_pipeline(pipeline_id: str, context: Shared, caller: Writing) -> Response:
    """With its history and what it knows; its jobs stay."""
    await run_in_threadpool(pipelines.delete, context, caller, _id(pipeline_id))
    return Response(status_code=204)


@router.post(
    "/{pipeline_id}/run",
    status_code=202,
    summary="Run a pipeline now",
    responses={**success(202, RunDocument), **problems_of(400, 401, 404, 409, 422, 503)},
    openapi_extra=KEYED,
)
async def run_pipeline(
    request: Request,
    pipeline_id: str,
    context: Shared,
    caller: Writing,
    dry_run: Annotated[Flag, Query(description="list what would become jobs, and make none")] = False,
) -> Response:
    """Also while it is paused. A worker begins as soon as one is free; look at the run that is answered for how it
    went.
    """
    once, found, request_id = once_per_key(request, context, caller), _id(pipeline_id), request_id_of(request)

    def answer(session: Session) -> Response:
        run = pipelines.request_run(context, session, caller, found, dry_run=dry_run, request_id=request_id)
        return created(202, run, {"Location": run["urls"]["self"], "Retry-After": RETRY_AFTER})

    return await once.answer(None, answer)


@router.post(
    "/{pipeline_id}/pause",
    summary="Pause a pipeline",
    responses={**success(200, PipelineDocument), **problems_of(401, 404, 503)},
)
async def pause_pipeline(pipeline_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """A run that is under way ends. Its jobs go on. Asked again, the answer is the same."""
    return JSONResponse(await run_in_threadpool(pipelines.pause, context, caller, _id(pipeline_id)))


@router.post(
    "/{pipeline_id}/resume",
    summary="Resume a pipeline",
    responses={**success(200, PipelineDocument), **problems_of(401, 404, 503)},
)
async def resume_pipeline(pipeline_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """It looks again at its next time. Asked again, the answer is the same."""
    return JSONResponse(await run_in_threadpool(pipelines.resume, context, caller, _id(pipeline_id)))


@router.get(
    "/{pipeline_id}/runs",
    summary="List the runs of a pipeline",
    responses={**success(200, RunList), **problems_of(401, 404, 422, 503)},
)
async def list_runs(
    pipeline_id: str, context: Shared, caller: Reading, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """Newest first; the last 200 are kept."""
    found, last = _id(pipeline_id), before(cursor)
    return JSONResponse(
        await run_in_threadpool(pipeline_documents.list_runs, context, caller, found, limit=limit, before=last)
    )


@router.get(
    "/{pipeline_id}/runs/{run_id}",
    summary="Look at a run of a pipeline",
    responses={**success(200, RunDocument), **problems_of(401, 404, 503)},
)
async def get_run(pipeline_id: str, run_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """Of a dry run: with what would become jobs."""
    run = parse_id(run_id)
    if run is None:
        raise NotFound("The pipeline has no such run, or none any more.")
    return JSONResponse(await run_in_threadpool(pipeline_documents.find_run, context, caller, _id(pipeline_id), run))


@router.get(
    "/{pipeline_id}/items",
    summary="List what a pipeline found",
    responses={**success(200, ItemList), **problems_of(401, 404, 422, 503)},
)
async def list_items(
    pipeline_id: str, context: Shared, caller: Reading, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """Pictures that became jobs, newest first."""
    found, last = _id(pipeline_id), before(cursor)
    return JSONResponse(
        await run_in_threadpool(pipeline_documents.list_items, context, caller, found, limit=limit, before=last)
    )


def _id(text: str) -> uuid.UUID:
    pipeline_id = parse_id(text)
    if pipeline_id is None:
        raise NotFound("There is no such pipeline.")
    return pipeline_id
