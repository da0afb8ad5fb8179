"""``/health``, ``/health/ready``, ``/metrics``: for probes and for Prometheus."""

from collections.abc import Mapping
from typing import Final

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Administering, Context, Shared
from pixmill_api.inline.worker import InlineWorker
from pixmill_shared.celery_app import app as celery
from pixmill_shared.observability.health import Check
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.processes import check_broker
from pixmill_shared.runtime import Runtime

log = get_logger(__name__)

router = APIRouter(tags=["health"])

LONGEST_COUNT: Final = 1.0
"""Seconds that a scrape waits for the backlog to be counted; then it gets the count before."""

# Threads of its own: probes that wait for a frozen server leave those of the requests alone.
_threads = anyio.CapacityLimiter(4)


def checks_of(runtime: Runtime, inline: InlineWorker | None) -> Mapping[str, Check]:
    """What ``/health/ready`` asks. A process that can do without the broker is not unready when that is down."""
    work: dict[str, Check] = {"inline": inline.check} if inline else {"broker": lambda: check_broker(celery)}
    return {
        "database": lambda: runtime.database.ping(),  # noqa: PLW0108 - built at first use
        **work,
        # Whether this object is there does not matter: that the storage answers does.
        "storage": lambda: _ignore(runtime.store.exists("health")),
    }


def _ignore(_result: object) -> None:
    return


@router.get("/health", summary="Is the process alive?")
async def health() -> JSONResponse:
    """Touches no dependency: a restart would not mend one."""
    return JSONResponse({"status": "healthy"})


@router.get("/health/ready", summary="Can it serve?", responses={503: {"description": "Not all are ok"}})
async def ready(context: Shared) -> JSONResponse:
    """Of `database`, `broker` and `storage`, each `ok` or `unavailable`; 503 unless all are ok. A process that works
    itself shows `inline` instead of `broker`.

    Without the broker submissions are accepted all the same; they wait.
    """
    fine, results = await run_sync(context.readiness.ask, limiter=_threads)
    return JSONResponse({"status": "ready" if fine else "not ready", "checks": results}, 200 if fine else 503)


def _count_backlog(context: Context) -> None:
    """So that the figure is not that of the last submission, hours ago."""
    try:
        with context.runtime.database.session_scope() as session:
            context.backlog.look(session)
    except SQLAlchemyError as error:
        log.warning("backlog not counted", error=type(error).__name__)


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(context: Shared, _caller: Administering) -> Response:
    """Behind a key, where keys are on."""
    with anyio.move_on_after(LONGEST_COUNT):
        await run_sync(_count_backlog, context, limiter=_threads, abandon_on_cancel=True)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
