"""Jobs: make one from a source and a recipe, look at one, list them, get their outputs."""

import uuid
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, RedirectResponse, Response

from pixmill_api.auth import Caller, Context, Reading, Shared, Writing
from pixmill_api.bodies import read_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.generation_reading import read_generation, things_of
from pixmill_api.idempotency import once_per_key
from pixmill_api.job_filters import METADATA, metadata_of
from pixmill_api.openapi import body, file_answers, problems_of, sent, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.parameters import Id, Time
from pixmill_api.reading import kind_of, read_job
from pixmill_api.repositories.job_views import WhichJobs
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import HELD, MADE, accepted, held, request_id_of
from pixmill_api.schemas import JobDocument, JobList, JobRequest
from pixmill_api.service import generation_documents, job_documents
from pixmill_api.service.canceling import cancel_job
from pixmill_api.service.deleting import delete_job, remove_objects
from pixmill_api.service.generating import WantedGeneration, refuse_if_off, submit_generation
from pixmill_api.service.places import destination_address, source_address
from pixmill_api.service.presets import resolve_recipe
from pixmill_api.service.retrying import retry_job
from pixmill_api.service.serving import serve_object
from pixmill_api.service.submission import Submission, submit
from pixmill_api.thing_schemas import GenerateRequest, GenerationItemList
from pixmill_shared.domain.generation import Form
from pixmill_shared.domain.jobs import JobKind, JobStatus
from pixmill_shared.domain.recipe import Limits
from pixmill_shared.storage.directory import DirectoryStore

router = make_router("jobs")

Make = Callable[[Session], dict[str, Any]]
"""Makes a job in the session's transaction, and gives its document."""


@router.post(
    "",
    status_code=202,
    summary="Make a job",
    responses={**MADE, **problems_of(400, 401, 403, 409, 413, 415, 422, 429, 503)},
    openapi_extra={**body(JobRequest, GenerateRequest), **HELD},
)
async def create_job(request: Request, context: Shared, caller: Writing) -> Response:
    """One source, and a recipe of up to 20 outputs (``PIXMILL_MAX_OUTPUTS``) that are made from one decode, or the name
    of a preset. Or, with the `kind` `generate`, up to 1,000 things (``PIXMILL_MAX_GENERATION_ITEMS``), of each of which
    an image model makes a picture.
    """
    once = once_per_key(request, context, caller)
    document = await read_json(request, context.settings.max_body_bytes)
    if kind_of(document) is JobKind.GENERATE:
        make = await _generating(request, context, caller, document)
    else:
        make = _processing(request, context, caller, document)
    return await held(request, context, caller, await accepted(once, document, make))


def _processing(request: Request, context: Context, caller: Caller, document: object) -> Make:
    wanted, recipe = read_job(document, Limits(max_outputs=context.settings.max_outputs))
    source = wanted.source
    key = source_address(context, source.key)

    def make(session: Session) -> dict[str, Any]:
        chosen = resolve_recipe(session, caller, recipe, wanted.preset)
        submission = Submission(
            *(caller, chosen, wanted, request_id_of(request)),
            url=source.url,
            upload_id=source.upload_id,
            key=key,
            destination=destination_address(context, wanted.destination, chosen),
        )
        return submit(context, session, submission)

    return make


async def _generating(request: Request, context: Context, caller: Caller, document: object) -> Make:
    refuse_if_off(context)
    limits = Limits(max_outputs=context.settings.max_outputs)
    wanted, recipe = await run_in_threadpool(read_generation, document, limits, context.generation.max_items)
    things = things_of(wanted)
    categories = list(dict.fromkeys(thing.category for thing in things))
    generation = WantedGeneration(
        *(caller, wanted, things, categories, Form.GENERAL, recipe, request_id_of(request), wanted.destination)
    )

    def make(session: Session) -> dict[str, Any]:
        job_id = submit_generation(context, session, generation)
        return job_documents.shown_job(context, session, job_documents.found_job(session, caller, job_id))

    return make


@router.get(
    "",
    summary="List jobs",
    responses={**success(200, JobList), **problems_of(401, 422, 503)},
    openapi_extra={"parameters": [METADATA]},
)
async def list_jobs(
    request: Request,
    context: Shared,
    caller: Reading,
    status: JobStatus | None = None,
    kind: Annotated[JobKind | None, Query(description="those that process a source, or that generate")] = None,
    batch: Annotated[Id | None, Query(description="those of this batch")] = None,
    pipeline: Annotated[Id | None, Query(description="those of this pipeline")] = None,
    since: Annotated[Time | None, Query(description="made at this time or later")] = None,
    until: Annotated[Time | None, Query(description="made before this time")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """Newest first, those for which all filters hold. Queue positions are shown by the single job only."""
    which = WhichJobs(caller.project, status, kind, batch, pipeline, since, until, metadata_of(request))
    page = await run_in_threadpool(job_documents.list_jobs, context, which, limit=limit, before=before(cursor))
    return JSONResponse(page)


@router.get("/{job_id}", summary="Look at a job", responses={**success(200, JobDocument), **problems_of(401, 404, 503)})
async def get_job(job_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """A failed job is an answer like any other: see `status` and `error`."""
    return JSONResponse(await run_in_threadpool(job_documents.find_job, context, caller, _id(job_id)))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses={**success(200, JobDocument), **problems_of(401, 404, 409, 503)},
)
async def cancel(job_id: str, context: Shared, caller: Writing) -> JSONResponse:
    """A queued or running job ends as `canceled`, and nothing of it is kept, but for pictures that were generated by
    then; asked again, the answer is the same.

    409 if it had completed or failed before.
    """
    return JSONResponse(await run_in_threadpool(cancel_job, context, caller, _id(job_id)))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    summary="Make a job again",
    responses={**MADE, **problems_of(400, 401, 404, 409, 422, 429, 503)},
    openapi_extra=HELD,
)
async def retry(request: Request, job_id: str, context: Shared, caller: Writing) -> Response:
    """A new job like a failed or canceled one, which its `retry_of` names."""
    once = once_per_key(request, context, caller)
    origin, request_id = _id(job_id), request_id_of(request)
    answer = await accepted(
        once, None, lambda session: retry_job(context, session, caller, origin, request_id=request_id)
    )
    return await held(request, context, caller, answer)


@router.delete(
    "/{job_id}",
    status_code=204,
    summary="Delete a job",
    responses={204: {"description": "It is gone"}, **problems_of(401, 404, 409, 503)},
)
async def remove_job(job_id: str, context: Shared, caller: Writing) -> Response:
    """With its outputs, as far as no other job has them, its events and its webhooks. 409 while it has not ended."""
    names = await run_in_threadpool(delete_job, context, caller, _id(job_id))
    return Response(status_code=204, background=BackgroundTask(remove_objects, context.runtime.store, names))


@router.get(
    "/{job_id}/items",
    summary="List what pictures are generated of",
    responses={**success(200, GenerationItemList), **problems_of(401, 404, 422, 503)},
)
async def list_generation_items(
    job_id: str, context: Shared, caller: Reading, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """The items of a job that generates, in the order of the request, with the pictures that there are so far."""
    id, after = _id(job_id), before(cursor)
    return JSONResponse(
        await run_in_threadpool(generation_documents.list_items, context, caller, id, limit=limit, after=after)
    )


@router.head("/{job_id}/outputs/{name}", include_in_schema=False)
@router.get(
    "/{job_id}/outputs/{name}",
    summary="Get the bytes of an output",
    responses={
        **file_answers("image/*"),
        302: {"description": "The bytes are there", "headers": sent("Location")},
        **problems_of(401, 404, 416, 503),
    },
)
async def get_output(request: Request, job_id: str, name: str, context: Shared, caller: Reading) -> Response:
    """The bytes, or a redirect to a signed URL where the storage is a bucket."""
    rendition, filename = await run_in_threadpool(job_documents.find_output, context, caller, _id(job_id), name)
    store = context.runtime.store
    if not isinstance(store, DirectoryStore):
        expires_at = job_documents.url_expiry(context)
        return RedirectResponse(
            store.signed_url(rendition.storage_key, expires_at, rendition.media_type, filename), 302
        )
    return await run_in_threadpool(
        serve_object,
        request,
        store,
        rendition.storage_key,
        media_type=rendition.media_type,
        name=filename,
        etag=f'"{rendition.sha256}"',
        max_age=context.runtime.storage_settings.url_ttl,
    )


def _id(text: str) -> uuid.UUID:
    job_id = parse_id(text)
    if job_id is None:
        raise NotFound("There is no such job.")
    return job_id
