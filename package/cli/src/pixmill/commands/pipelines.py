"""`pixmill pipelines`: see how they fare, have one look now, pause it. Making them is for the API."""

import json
import time
import uuid
from typing import Annotated, Any, Final

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill.errors import InvalidOptionError, NoSuchPipelineError, TaskFailedError
from pixmill.settings import actor
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Pipeline, PipelineRun
from pixmill_shared.domain.pipelines import RunStatus
from pixmill_shared.repositories import audit
from pixmill_shared.repositories.audit import Action
from pixmill_shared.service import pipelines as steering

pipelines = typer.Typer(name="pipelines", help="Pipelines: see how they fare, run one now.", no_args_is_help=True)

_LOOK_EVERY: Final = 0.2

Which = Annotated[str, typer.Argument(metavar="ID", help="As `pixmill pipelines list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@pipelines.callback()
def _group() -> None:
    """Pipelines: see how they fare, run one now, pause it."""


@pipelines.command("list")
@exit_on_error("pipelines list")
def list_pipelines(
    project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Newest first: when each looks next, and since when it fails."""
    query = select(Pipeline).order_by(Pipeline.id.desc()).limit(limit)
    if project is not None:
        query = query.where(Pipeline.project == project)
    with opened_database() as database, database.session_scope() as session:
        rows = list(session.scalars(query))
    if as_json:
        typer.echo(json.dumps([_document(row) for row in rows], indent=2))
        return
    for row in rows:
        when = "paused" if row.paused_at else row.run_at.strftime("%Y-%m-%d %H:%M:%SZ")
        trouble = f"  failed {row.failures} times: {(row.error or {}).get('detail')}" if row.failures else ""
        typer.echo(f"{row.id}  {when:<20}  {row.cron}  {row.source['type']:<7}  {row.project}  {row.name}{trouble}")
    if not rows:
        typer.echo("No pipelines.")


@pipelines.command()
@exit_on_error("pipelines run")
def run(
    which: Which,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would become jobs, and make none.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for its end.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 300,
) -> None:
    """Look now, also if it is paused. Workers and the dispatcher must be running. Exit code 1 if the run failed."""
    with opened_database() as database:
        with database.session_scope() as session:
            made = steering.request_run(session, _found(session, which), dry_run=dry_run, requested_by=actor()).id
        if no_wait:
            typer.echo(str(made))
        else:
            _tell(_ended(database, made, timeout))


@pipelines.command()
@exit_on_error("pipelines pause")
def pause(which: Which) -> None:
    """A run that is under way ends. Its jobs go on."""
    with opened_database() as database, database.session_scope() as session:
        row = _found(session, which)
        if steering.pause(session, row):
            _note(session, row)
    typer.echo("Paused.")


@pipelines.command()
@exit_on_error("pipelines resume")
def resume(which: Which) -> None:
    """It looks again at its next time."""
    with opened_database() as database, database.session_scope() as session:
        row = _found(session, which)
        if steering.resume(session, row):
            _note(session, row)
        session.flush()
        session.refresh(row)
    typer.echo(f"It looks next at {row.run_at:%Y-%m-%d %H:%M:%SZ}.")


def _found(session: Session, which: str) -> Pipeline:
    """Locked."""
    try:
        wanted = uuid.UUID(which)
    except ValueError:
        raise InvalidOptionError("ID", "must be the id of a pipeline") from None
    row = session.scalar(select(Pipeline).where(Pipeline.id == wanted).with_for_update(key_share=True))
    if row is None:
        raise NoSuchPipelineError(which)
    return row


def _note(session: Session, row: Pipeline) -> None:
    changed = {"changed": ["paused"]}
    audit.record(session, Action.PIPELINE_CHANGED, row.id, project=row.project, actor=actor(), detail=changed)


def _ended(database: Database, run_id: uuid.UUID, timeout: float) -> PipelineRun:
    until = time.monotonic() + timeout
    while True:
        with database.session_scope() as session:
            row = session.get_one(PipelineRun, run_id)
        if row.finished_at is not None:
            return row
        if time.monotonic() >= until:
            raise TaskFailedError(f"the run has not ended in {timeout:g} s; it is {row.status}.")
        time.sleep(_LOOK_EVERY)


def _tell(row: PipelineRun) -> None:
    if row.status != RunStatus.COMPLETED:
        why = f", {row.error.get('code')}: {row.error.get('detail')}" if row.error else "."
        raise TaskFailedError(f"the run is {row.status}{why}")
    result = row.result or {}
    for item in result.get("items", ()):
        typer.echo(item["location"])
    made = f"{result.get('new', 0)} would become jobs" if row.dry_run else f"{row.created} became jobs"
    typer.echo(f"{row.found} found, {made}, {row.skipped} skipped.")


def _document(row: Pipeline) -> dict[str, Any]:
    moments = {name: getattr(row, name) for name in ("run_at", "last_run_at", "failing_since", "paused_at")}
    return {
        "pipeline_id": str(row.id),
        "project": row.project,
        "name": row.name,
        "source": row.source,
        "preset": row.preset,
        "cron": row.cron,
        "timezone": row.timezone,
        "failures": row.failures,
        "error": row.error,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }
