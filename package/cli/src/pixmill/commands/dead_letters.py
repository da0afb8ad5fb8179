"""`pixmill dead-letters`: work that gave up, and what came from the broker that is no work."""

import datetime
import json
import uuid
from typing import Annotated, Final

import typer

from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill.commands.letters import document, lines_about, table
from pixmill.commands.moments import parse_moment
from pixmill.errors import InvalidOptionError, NoSuchDeadLetterError
from pixmill.settings import actor
from pixmill_shared.repositories.dead_letters import Letters, count_replayable, find, page, so_far
from pixmill_shared.service.replay import MOST, REPLAYABLE, replay, replay_many

dead_letters = typer.Typer(
    name="dead-letters", help="Work that gave up: look at it, send it again.", no_args_is_help=True
)

_SHORT: Final = {task.rpartition(".")[2]: task for task in REPLAYABLE}
_TIME: Final = "2h, 7d, or a time like 2026-01-31T12:00:00Z."

Project = Annotated[str | None, typer.Option(help="Only this project's; default: all.")]
Task = Annotated[str | None, typer.Option(help=f"A task's name, or {', '.join(_SHORT)}.")]
Since = Annotated[str | None, typer.Option(help=f"Gave up since: {_TIME}")]
Until = Annotated[str | None, typer.Option(help=f"Gave up before: {_TIME}")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@dead_letters.callback()
def _group() -> None:
    """Work that gave up: look at it, send it again."""


@dead_letters.command("list")
@exit_on_error("dead-letters list")
def list_letters(
    project: Project = None,
    task: Task = None,
    since: Since = None,
    until: Until = None,
    replayed: Annotated[bool | None, typer.Option("--replayed/--not-replayed", help="Default: both.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    before: Annotated[str | None, typer.Option(help="Go on after this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Newest first."""
    which = _letters(project, task, since, until, replayed)
    last = None if before is None else _id(before)
    with opened_database() as database, database.session_scope() as session:
        found = page(session, which, limit=limit, before=last)
    shown, more = found[:limit], len(found) > limit
    if as_json:
        typer.echo(json.dumps([document(letter) for letter in shown], indent=2))
    else:
        for line in table(shown) if shown else ["No dead letters."]:
            typer.echo(line)
    if more:
        typer.secho(f"There are more: --before {shown[-1].id}", err=True)


@dead_letters.command()
@exit_on_error("dead-letters show")
def show(letter_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """One dead letter in full, with its last traceback."""
    with opened_database() as database, database.session_scope() as session:
        letter = find(session, _id(letter_id), None)
    if letter is None:
        raise NoSuchDeadLetterError(letter_id)
    for line in [json.dumps(document(letter), indent=2)] if as_json else lines_about(letter):
        typer.echo(line)


@dead_letters.command("replay")
@exit_on_error("dead-letters replay")
def replay_letters(
    letter_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One; else --task and --since.")] = None,
    project: Project = None,
    task: Task = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = MOST,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send one again, or those of a task since a time, oldest first: as new work, each once."""
    if letter_id is not None:
        if any((project, task, since, until)):
            raise InvalidOptionError("ID", "goes without --project, --task, --since and --until")
        _replay_one(letter_id)
        return
    if task is None or since is None:
        raise InvalidOptionError("replay", "takes an ID, or --task and --since")
    which = _letters(project, task, since, until)
    if which.task not in REPLAYABLE:
        raise InvalidOptionError("--task", f"must be one of {', '.join(_SHORT)}")
    _replay_many(which, limit, yes)


def _replay_one(letter_id: str) -> None:
    with opened_database() as database, database.session_scope() as session:
        made = replay(session, _id(letter_id), None, by=actor())
    if made is None:
        raise NoSuchDeadLetterError(letter_id)
    typer.echo(f"Replayed as {made.kind} {made.id}.")


def _replay_many(which: Letters, limit: int, yes: bool) -> None:
    with opened_database() as database:
        with database.session_scope() as session:
            # What is asked about is what is replayed, however long the answer takes.
            which = so_far(session, which)
            count = count_replayable(session, which, limit + 1)
        if not count:
            typer.echo("No dead letters to replay.")
            return
        if not yes:
            some = f"the oldest {limit} of more than {limit}" if count > limit else str(count)
            typer.confirm(f"Replay {some} dead letter{'s' if count > 1 else ''} of {which.task}?", abort=True)
        found = replay_many(database, which, by=actor(), limit=limit)
    typer.echo(f"Replayed {len(found.made)}." + (" More are left: run it again." if found.more else ""))


def _letters(
    project: str | None, task: str | None, since: str | None, until: str | None, replayed: bool | None = None
) -> Letters:
    now = datetime.datetime.now(datetime.UTC)
    for option, value in (("--project", project), ("--task", task)):
        if value is not None and not value.isprintable():
            raise InvalidOptionError(option, "takes printable characters")
    return Letters(
        projects=None if project is None else (project,),
        task=_SHORT.get(task, task) if task is not None else None,
        since=parse_moment("--since", since, now),
        until=parse_moment("--until", until, now),
        replayed=replayed,
    )


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidOptionError(
            "ID", "must be the id of a dead letter, as `pixmill dead-letters list` shows it"
        ) from None
