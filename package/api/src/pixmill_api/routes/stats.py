"""Figures of a project, queues and alerts of the whole installation: what a dashboard shows."""

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from pixmill_api.auth import Administering, Reading, Shared
from pixmill_api.openapi import problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.routes import BASE
from pixmill_api.service import alert_documents, stats
from pixmill_api.stats_schemas import AlertList, QueueList, StatsDocument
from pixmill_shared.contract.alerts import AlertState

router = APIRouter(prefix=BASE, tags=["stats"])


@router.get(
    "/stats", summary="Figures of the project", responses={**success(200, StatsDocument), **problems_of(401, 503)}
)
async def get_stats(context: Shared, caller: Reading) -> JSONResponse:
    """Jobs of today and of the last hour by status, and renditions, bytes and durations of the newest 1,000."""
    return JSONResponse(await run_in_threadpool(stats.project_stats, context, caller))


@router.get("/queues", summary="List queues", responses={**success(200, QueueList), **problems_of(401, 403, 503)})
async def list_queues(context: Shared, caller: Administering) -> JSONResponse:
    """How much waits and is worked on in each, over all projects. Counting ends at 1,000."""
    return JSONResponse(await run_in_threadpool(stats.queues, context))


@router.get("/alerts", summary="List alerts", responses={**success(200, AlertList), **problems_of(401, 403, 422, 503)})
async def list_alerts(
    context: Shared,
    caller: Administering,
    state: AlertState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """Newest first, of the whole installation."""
    return JSONResponse(
        await run_in_threadpool(alert_documents.list_alerts, context, limit=limit, before=before(cursor), state=state)
    )
