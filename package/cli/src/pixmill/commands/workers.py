"""`pixmill workers`: who works, and how many processes a worker that sizes itself may have."""

from typing import Annotated

import typer

from pixmill.commands.columns import in_columns
from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill.errors import InvalidOptionError
from pixmill_shared.database.models import Worker
from pixmill_shared.repositories.workers import STALE_AFTER, everyone, want

workers = typer.Typer(help="Who works; how many processes a worker may have.", invoke_without_command=True)

_COLUMNS = ("worker", "state", "pool", "busy", "bounds", "because", "tasks", "memory", "queues")


@workers.callback()
@exit_on_error("workers")
def show(context: typer.Context) -> None:
    """All workers, as they last told; one that has been silent for 30 s is stale."""
    if context.invoked_subcommand is not None:
        return
    with opened_database() as database, database.session_scope() as session:
        lines = [_COLUMNS, *(_cells(worker, silent) for worker, silent in everyone(session))]
    for line in in_columns(lines):
        typer.echo(line)


@workers.command()
@exit_on_error("workers scale")
def scale(
    name: Annotated[str, typer.Argument(help="As shown, like imaging@host.")],
    least: Annotated[
        int | None, typer.Option("--min", min=1, help="Processes at least; MIN_WORKERS if not given.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", min=1, help="Processes at most; MAX_WORKERS if not given.")
    ] = None,
) -> None:
    """Set other bounds than the worker's settings, or with no option take them back. It follows within 10 s."""
    if least is not None and most is not None and least > most:
        raise InvalidOptionError("--min", f"is above --max; give {most} or less")
    with opened_database() as database, database.session_scope() as session:
        if want(session, name, least, most) is None:
            raise InvalidOptionError("NAME", "is of no worker that sizes itself; see: pixmill workers")
    typer.echo(f"{name} follows within 10 s")


def _cells(worker: Worker, silent: float) -> tuple[str, ...]:
    bounds = f"{worker.least}-{worker.most}" if worker.least is not None else "fixed"
    wanted = worker.wanted_least is not None or worker.wanted_most is not None
    return (
        worker.name,
        "alive" if silent < STALE_AFTER else "stale",
        worker.pool,
        f"{worker.active}/{worker.size}",
        f"{bounds} (by hand)" if wanted else bounds,
        worker.scaling or "-",
        str(worker.processed),
        f"{worker.resident_bytes / 1e6:.0f} MB",
        ",".join(worker.queues),
    )
