"""Tasks that people start, a row each, and those that beat sent, of which a record is kept: what became of them."""

import datetime
import uuid
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.media_types import ZIP
from pixmill_api.errors import InvalidRequest, NotFound
from pixmill_api.reading import read_body
from pixmill_api.repositories import batch_views
from pixmill_api.service.job_documents import url_expiry
from pixmill_api.service.pages import page_of
from pixmill_api.service.task_results import kept_result
from pixmill_api.task_schemas import TaskCall, TaskState
from pixmill_shared.contract.queues import Priority
from pixmill_shared.contract.requests import Requestable, requestable
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.models import TaskRecord, TaskRequest
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories import audit, results, task_records, task_requests

_STATES: Final = {
    "queued": TaskState.QUEUED,
    "processing": TaskState.RUNNING,
    "completed": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
}
_UNKNOWN: Final = dict.fromkeys(
    ("priority", "queue", "requested_by", "request_id", "entry", "attempts", "created_at", "started_at", "duration_ms")
)
"""Of a task that has no row."""

_STATUSES: Final = {state: status for status, state in _STATES.items()}

_NOT_FOUND: Final = "There is no such task, and no result of one is kept under this id."

_UNENDED: Final = (TaskState.QUEUED, TaskState.RUNNING)

_OF_CELERY: Final = {
    "PENDING": TaskState.QUEUED,
    "RECEIVED": TaskState.QUEUED,
    "RETRY": TaskState.QUEUED,
    "STARTED": TaskState.RUNNING,
    "SUCCESS": TaskState.SUCCEEDED,
    "FAILURE": TaskState.FAILED,
    "REVOKED": TaskState.FAILED,
}


def find_requestable(name: str) -> Requestable:
    """Raises NotFound, for a task that nobody may start too."""
    found = requestable(name)
    if found is None:
        raise NotFound("There is no such task, or it cannot be started by hand.")
    return found


def read_call(what: Requestable, document: object) -> tuple[TaskCall, dict[str, Any]]:
    """The call and the arguments of the task. Raises InvalidRequest."""
    call = read_body(TaskCall, document)
    try:
        arguments = read_body(what.arguments, call.args)
    except InvalidRequest as error:
        raise InvalidRequest([JsonError("/args" + each.pointer, each.detail) for each in error.errors]) from None
    return call, arguments.model_dump(mode="json", exclude_none=True)


def start(
    context: Context,
    session: Session,
    caller: Caller,
    what: Requestable,
    arguments: dict[str, Any],
    *,
    priority: Priority,
    request_id: str,
) -> dict[str, Any]:
    """The dispatcher publishes it when the transaction has committed. Raises InvalidRequest if it is about things that
    the project does not have.
    """
    _require_own(session, caller, arguments)
    made = task_requests.insert(
        session,
        what,
        arguments,
        project=caller.project,
        priority=priority,
        requested_by=caller.name,
        request_id=request_id,
    )
    audit.record(
        session,
        audit.Action.TASK_STARTED,
        what.task,
        project=caller.project,
        actor=caller.name,
        detail={"task_id": str(made), "priority": priority, "args": arguments},
        request_id=request_id,
    )
    return task_document(context, session.get_one(TaskRequest, made))


def _require_own(session: Session, caller: Caller, arguments: dict[str, Any]) -> None:
    """Of an archive: its link opens to whoever looks at the task. Raises InvalidRequest."""
    batch_id, job_id = arguments.get("batch_id"), arguments.get("job_id")
    if batch_id and batch_views.find(session, caller.project, uuid.UUID(batch_id)) is None:
        raise InvalidRequest([JsonError("/args/batch_id", "there is no such batch")])
    if job_id and results.find_job(session, uuid.UUID(job_id), caller.project) is None:
        raise InvalidRequest([JsonError("/args/job_id", "there is no such job")])


def find_task(context: Context, caller: Caller, task_id: uuid.UUID) -> dict[str, Any]:
    """The row; else the record; else the result that Celery has kept. Raises NotFound, for another project's row too.

    Records and results are those of what beat sent, which belongs to no project.
    """
    with context.runtime.database.session_scope() as session:
        row = task_requests.find(session, task_id)
        if row is not None and row.project != caller.project:
            raise NotFound(_NOT_FOUND)
        if row is not None:
            return task_document(context, row)
        record = task_records.find(session, task_id)
        if record is not None:
            return _of_record(context, record)
    kept = kept_result(str(task_id))
    if kept is None:
        raise NotFound(_NOT_FOUND)
    return _of_result(context, str(task_id), kept)


def list_tasks(
    context: Context, caller: Caller, *, limit: int, before: uuid.UUID | None, state: TaskState | None
) -> dict[str, Any]:
    """One page of both, the project's requests and what beat sent, newest first: their ids are of one kind."""
    status = None if state is None else _STATUSES[state]
    with context.runtime.database.session_scope() as session:
        asked = task_requests.page(session, limit=limit, before=before, status=status, project=caller.project)
        # What has not ended has no record.
        ended = task_records.page(session, limit=limit, before=before, state=state) if state not in _UNENDED else []
        rows: list[TaskRequest | TaskRecord] = sorted([*asked, *ended], key=lambda row: row.id, reverse=True)
        shown, more = rows[:limit], len(rows) > limit
        data = [
            _of_record(context, row) if isinstance(row, TaskRecord) else task_document(context, row) for row in shown
        ]
    return page_of(data, shown, more=more)


def task_document(context: Context, row: TaskRequest) -> dict[str, Any]:
    """Between two tries the row holds the last error; the task has not failed."""
    return {
        "task_id": str(row.id),
        "name": row.task,
        "state": _STATES[row.status],
        "priority": Priority.of_rank(row.priority),
        "queue": row.queue,
        "args": row.payload,
        "result": shown_result(context, row),
        "error": row.error if row.status == "failed" else None,
        "requested_by": row.requested_by,
        "request_id": row.request_id,
        "entry": None,
        "attempts": row.attempts,
        "created_at": utc(row.created_at),
        "started_at": utc(row.started_at),
        "finished_at": utc(row.finished_at),
        "duration_ms": _milliseconds(row),
        "urls": {"self": _url(context, str(row.id))},
    }


def shown_result(context: Context, row: TaskRequest) -> dict[str, Any] | None:
    """Of an archive: where it is, signed anew at each look, as long as it is there."""
    if row.task != TaskName.BUILD_ZIP or row.result is None or row.finished_at is None:
        return row.result
    result = dict(row.result)
    key, expires_at = result.pop("key", None), row.finished_at + context.archives.kept
    filename = f"{row.payload.get('batch_id') or row.payload.get('job_id')}.zip"
    there = key is not None and expires_at > datetime.datetime.now(datetime.UTC)
    until = min(expires_at, url_expiry(context))
    url = context.runtime.store.signed_url(key, until, ZIP, filename) if there else None
    return {**result, "url": url, "expires_at": utc(expires_at)}


def _of_record(context: Context, record: TaskRecord) -> dict[str, Any]:
    return {
        **_UNKNOWN,
        "task_id": str(record.task_id),
        "name": record.task,
        "state": record.state,
        "queue": record.queue,
        "args": {},
        "result": record.result,
        "error": record.error,
        "entry": record.entry,
        "attempts": record.attempts,
        "started_at": utc(record.started_at),
        "finished_at": utc(record.finished_at),
        "duration_ms": _milliseconds(record),
        "urls": {"self": _url(context, str(record.task_id))},
    }


def _milliseconds(row: TaskRequest | TaskRecord) -> int | None:
    """From its first start to its end."""
    if row.started_at is None or row.finished_at is None:
        return None
    return round((row.finished_at - row.started_at).total_seconds() * 1000)


def _of_result(context: Context, task_id: str, kept: dict[str, Any]) -> dict[str, Any]:
    state = _OF_CELERY.get(str(kept.get("status")), TaskState.RUNNING)
    failed = state is TaskState.FAILED
    return {
        **_UNKNOWN,
        "task_id": task_id,
        "name": kept.get("name"),
        "state": state,
        "args": {},
        "result": None if failed else kept.get("result"),
        "error": _error_of(kept.get("result")) if failed else None,
        "finished_at": _moment(kept.get("date_done")),
        "urls": {"self": _url(context, task_id)},
    }


def _error_of(result: object) -> dict[str, Any]:
    """Celery keeps the class of an exception and what it was made with; tracebacks are not shown."""
    name = result.get("exc_type") if isinstance(result, dict) else None
    return {"code": None, "title": None, "detail": f"It raised {name or 'an error'}.", "retryable": None}


def _moment(written: object) -> str | None:
    """Celery writes times of UTC, with an offset or without."""
    text = str(written) if written else ""
    return text.replace("+00:00", "").removesuffix("Z") + "Z" if text else None


def _url(context: Context, task_id: str) -> str:
    return f"{context.public_url}/api/v1/tasks/{task_id}"
