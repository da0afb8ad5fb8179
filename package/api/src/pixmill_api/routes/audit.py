"""The audit: what administrators did."""

from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from pixmill_api.auth import Administering, Shared
from pixmill_api.key_schemas import AuditList
from pixmill_api.openapi import success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.routes import router as make_router
from pixmill_api.service import keys

router = make_router("audit")


@router.get("", summary="List what was done", responses=success(200, AuditList))
async def list_audit(context: Shared, caller: Administering, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """In the project, newest first: keys, presets and endpoints that were changed, dead letters that were sent again,
    tasks that were started.
    """
    page = await run_in_threadpool(keys.list_audit, context, caller, limit=limit, before=before(cursor))
    return JSONResponse(page)
