"""Who works, and what the clock has them do."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from pixmill_api.auth import Administering, Reading, Shared
from pixmill_api.bodies import read_json
from pixmill_api.crew_schemas import EntryChange, EntryDocument, EntryList, WorkerList
from pixmill_api.openapi import body, problems_of, success
from pixmill_api.reading import read_body
from pixmill_api.routes import BASE
from pixmill_api.service import crew_documents, service_documents
from pixmill_api.service_schemas import ServiceList

router = APIRouter(prefix=BASE, tags=["crew"])

EntryName = Annotated[str, Path(pattern="^[a-z][a-z-]{0,62}$", examples=["heartbeat"])]


@router.get("/workers", summary="List workers", responses={**success(200, WorkerList), **problems_of(401, 403, 503)})
async def list_workers(context: Shared, caller: Administering) -> JSONResponse:
    """As they told of themselves within the last ten seconds; one that has been silent for 30 s is stale."""
    return JSONResponse(await run_in_threadpool(crew_documents.list_workers, context))


@router.get("/services", summary="List services", responses={**success(200, ServiceList), **problems_of(401, 403, 503)})
async def list_services(context: Shared, caller: Reading) -> JSONResponse:
    """How each was when it was last checked, and what they need."""
    return JSONResponse(await run_in_threadpool(service_documents.list_services, context))


@router.get(
    "/schedule", summary="Look at the schedule", responses={**success(200, EntryList), **problems_of(401, 403, 503)}
)
async def get_schedule(context: Shared, caller: Administering) -> JSONResponse:
    """All entries, with their last and next runs."""
    return JSONResponse(await run_in_threadpool(crew_documents.list_entries, context))


@router.patch(
    "/schedule/{entry}",
    summary="Change an entry of the schedule",
    responses={**success(200, EntryDocument), **problems_of(400, 401, 403, 404, 413, 415, 422, 503)},
    openapi_extra=body(EntryChange),
)
async def change_entry(request: Request, entry: EntryName, context: Shared, caller: Administering) -> JSONResponse:
    """Switch it off or on, or give it another interval; beat follows within seconds."""
    change = read_body(EntryChange, await read_json(request, context.settings.max_body_bytes))
    named = change.model_dump(exclude_unset=True)
    return JSONResponse(await run_in_threadpool(crew_documents.change_entry, context, caller, entry, named))
