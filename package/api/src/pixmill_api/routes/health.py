"""``/health``, ``/health/ready``, ``/metrics``: for probes and for Prometheus."""

import asyncio
from collections.abc import Mapping
from typing import Final

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Asking, Context, Shared
from pixmill_shared.celery_app import app as celery
from pixmill_shared.observability.health import Check, readiness
from pixmill_shared.plumbing.processes import check_broker

router = APIRouter(tags=["health"])

CHECK_SECONDS: Final = 3.0
# Threads of its own: checks that hang may use them up, and requests still have theirs.
_threads = anyio.CapacityLimiter(6)


@router.get("/health", summary="Is the process alive?")
async def health() -> JSONResponse:
    """Touches no dependency: a restart would not mend one."""
    return JSONResponse({"status": "healthy"})


@router.get("/health/ready", summary="Can it serve?")
async def ready(context: Shared) -> JSONResponse:
    """Of `database`, `broker` and `storage`, each `ok` or `unavailable`; 503 unless all are ok.

    Without the broker submissions are accepted all the same; they wait.
    """
    checks = _checks(context)
    results = dict(await asyncio.gather(*(_checked(name, check) for name, check in checks.items())))
    fine = all(result == "ok" for result in results.values())
    return JSONResponse({"status": "ready" if fine else "not ready", "checks": results}, 200 if fine else 503)


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(_caller: Asking) -> Response:
    """Behind a key, where keys are on."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _checks(context: Context) -> Mapping[str, Check]:
    return {
        "database": context.runtime.database.ping,
        "broker": lambda: check_broker(celery),
        # Whether this object is there does not matter: that the storage answers does.
        "storage": lambda: _ignore(context.runtime.store.exists("health")),
    }


def _ignore(_result: object) -> None:
    return


async def _checked(name: str, check: Check) -> tuple[str, str]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            _, results = await run_sync(readiness, {name: check}, abandon_on_cancel=True, limiter=_threads)
    except TimeoutError:
        return name, "unavailable"
    return name, results[name]
