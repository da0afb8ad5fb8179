"""Tasks: start one that may be started by hand, look at what became of it."""

from typing import Annotated, Final

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Administering, Shared
from pixmill_api.bodies import read_optional_json
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import NotFound
from pixmill_api.idempotency import once_per_key
from pixmill_api.openapi import KEYED, body, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import accepted, request_id_of
from pixmill_api.service import task_requests
from pixmill_api.task_schemas import TaskCall, TaskDocument, TaskList, TaskState
from pixmill_shared.contract.queues import Priority
from pixmill_shared.contract.requests import REQUESTABLE

router = make_router("tasks")

Name = Annotated[str, Path(description="its name: the last part of it, or the whole")]
"""In the place of an id: of two templates for one path OpenAPI takes one."""

_NAMES: Final = "\n".join(f"* `{each.name}`, in full `{each.task}`: {each.summary}." for each in REQUESTABLE)


@router.get("", summary="List tasks", responses={**success(200, TaskList), **problems_of(422)})
async def list_tasks(
    context: Shared,
    caller: Administering,
    state: TaskState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """Those that somebody asked for with a key of the project, and of those that beat sent, which belong to no project,
    the last 1,000 that succeeded and the last 1,000 that failed; newest first. The tasks of jobs and deliveries are not
    among them: those are rows of their own.
    """
    page = await run_in_threadpool(
        task_requests.list_tasks, context, caller, limit=limit, before=before(cursor), state=state
    )
    return JSONResponse(page)


@router.get(
    "/{task_id}",
    summary="Look at a task",
    responses={**success(200, TaskDocument), **problems_of(404, 503)},
)
async def get_task(task_id: str, context: Shared, caller: Administering) -> JSONResponse:
    """By its id. Of a task that nobody asked for, its record, or the result that Celery keeps for an hour."""
    found = parse_id(task_id)
    if found is None:
        raise NotFound("There is no such task.")
    return JSONResponse(await run_in_threadpool(task_requests.find_task, context, caller, found))


@router.post(
    "/{task_id}",
    status_code=202,
    summary="Start a task",
    description=f"By its name. It is a row that a worker claims, so it runs even if a worker dies.\n\n{_NAMES}",
    responses={**success(202, TaskDocument), **problems_of(400, 404, 409, 413, 415, 422, 503)},
    openapi_extra={**body(TaskCall, required=False), **KEYED},
)
async def start_task(request: Request, task_id: Name, context: Shared, caller: Administering) -> Response:
    what = task_requests.find_requestable(task_id)
    once = once_per_key(request, context, caller)
    document = await read_optional_json(request, context.settings.max_body_bytes)
    call, arguments = task_requests.read_call(what, document)
    request_id = request_id_of(request)

    def make(session: Session) -> dict[str, object]:
        return task_requests.start(
            context, session, caller, what, arguments, priority=Priority(call.priority), request_id=request_id
        )

    return await accepted(once, document, make)
