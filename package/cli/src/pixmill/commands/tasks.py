"""`pixmill tasks`: start one that may be started by hand, and see what became of it."""

import json
import time
import uuid
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from sqlalchemy.orm import Session

from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill.errors import InvalidOptionError, TaskFailedError
from pixmill.settings import actor
from pixmill_shared.contract.queues import Priority
from pixmill_shared.contract.requests import REQUESTABLE, Requestable, requestable
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import TaskRequest
from pixmill_shared.repositories import audit, task_requests

tasks = typer.Typer(name="tasks", help="Tasks: start one now, see what became of it.", no_args_is_help=True)

_NAMES: Final = ", ".join(each.name for each in REQUESTABLE)
_LOOK_EVERY: Final = 0.2
_STATUSES: Final = ("queued", "processing", "completed", "failed")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@tasks.callback()
def _group() -> None:
    """Tasks: start one now, see what became of it."""


@tasks.command()
@exit_on_error("tasks run")
def run(
    name: Annotated[str, typer.Argument(help=f"{_NAMES}; or a whole name.")],
    arg: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="An argument; may be repeated.")] = None,
    high: Annotated[bool, typer.Option("--high", help="Before what others start.")] = False,
    project: Annotated[str, typer.Option(help="Whose task it is.")] = "default",
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 if it failed.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds of --wait.")] = 3_600,
) -> None:
    """Start a task now. Workers and the dispatcher must be running."""
    what = requestable(name)
    if what is None:
        raise InvalidOptionError("NAME", f"must be one of {_NAMES}")
    arguments = _arguments(what, arg or [])
    with opened_database() as database:
        with database.session_scope() as session:
            made = _started(session, what, arguments, project, Priority.HIGH if high else Priority.NORMAL)
        typer.echo(str(made))
        if wait:
            _tell(_ended(database, made, timeout))


@tasks.command("list")
@exit_on_error("tasks list")
def list_tasks(
    status: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(_STATUSES)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Those that people asked for, newest first."""
    if status not in (None, *_STATUSES):
        raise InvalidOptionError("--status", f"must be one of {', '.join(_STATUSES)}")
    with opened_database() as database, database.session_scope() as session:
        rows = task_requests.page(session, limit=limit, before=None, status=status)[:limit]
    if as_json:
        typer.echo(json.dumps([_document(row) for row in rows], indent=2))
        return
    for row in rows:
        when = row.created_at.strftime("%Y-%m-%d %H:%M:%SZ")
        typer.echo(f"{row.id}  {when}  {row.status:<10}  {row.task.rpartition('.')[2]}  {row.requested_by}")
    if not rows:
        typer.echo("No tasks.")


def _arguments(what: Requestable, given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidOptionError("--arg", "takes NAME=VALUE")
        found[key] = _value(value)
    try:
        return what.arguments.model_validate(found).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in error.errors())
        raise InvalidOptionError("--arg", f"does not fit {what.name} ({wrong})") from None


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _started(
    session: Session, what: Requestable, arguments: dict[str, Any], project: str, priority: Priority
) -> uuid.UUID:
    made = task_requests.insert(session, what, arguments, project=project, priority=priority, requested_by=actor())
    audit.record(
        session,
        audit.Action.TASK_STARTED,
        what.task,
        project=project,
        actor=actor(),
        detail={"task_id": str(made), "priority": priority, "args": arguments},
    )
    return made


def _ended(database: Database, task_id: uuid.UUID, timeout: float) -> TaskRequest:
    until = time.monotonic() + timeout
    while True:
        with database.session_scope() as session:
            row = session.get_one(TaskRequest, task_id)
        if row.finished_at is not None:
            return row
        if time.monotonic() >= until:
            raise TaskFailedError(f"the task has not ended in {timeout:g} s; it is {row.status}.")
        time.sleep(_LOOK_EVERY)


def _tell(row: TaskRequest) -> None:
    if row.status == "failed":
        error = row.error or {}
        raise TaskFailedError(f"the task failed, {error.get('code')}: {error.get('detail')}")
    typer.echo(json.dumps(row.result, indent=2))


def _document(row: TaskRequest) -> dict[str, Any]:
    moments = {name: getattr(row, name) for name in ("created_at", "started_at", "finished_at")}
    return {
        "task_id": str(row.id),
        "name": row.task,
        "status": row.status,
        "project": row.project,
        "args": row.payload,
        "result": row.result,
        "error": row.error,
        "requested_by": row.requested_by,
        "attempts": row.attempts,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }
