"""`pixmill services`: how all services are, and what they need."""

import typer

from pixmill.commands.columns import in_columns
from pixmill.commands.database import opened_database
from pixmill.commands.failing import exit_on_error
from pixmill_shared.database.models import ServiceHealth
from pixmill_shared.repositories.service_health import everyone, status_at

_COLUMNS = ("service", "status", "since", "checked", "failures", "http", "ms", "error")


@exit_on_error("services")
def services() -> None:
    """How each was when it was last checked, which is every five minutes; unknown if that is too long ago."""
    with opened_database() as database, database.session_scope() as session:
        lines = [_COLUMNS, *(_cells(row, age) for row, age in everyone(session))]
    for line in in_columns(lines):
        typer.echo(line)


def _cells(row: ServiceHealth, age: float) -> tuple[str, ...]:
    return (
        row.service,
        status_at(row, age),
        row.since.strftime("%Y-%m-%d %H:%M:%SZ"),
        f"{age:.0f} s ago",
        str(row.failures),
        "-" if row.status_code is None else str(row.status_code),
        "-" if row.response_ms is None else str(row.response_ms),
        row.error or "-",
    )
