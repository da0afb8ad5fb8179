"""`pixmill backups` and `pixmill restore`: the backups that are in the storage, and one of them brought back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy.exc import OperationalError

from pixmill.commands.failing import exit_on_error
from pixmill.errors import DatabaseUnreachableError, MaintenanceUnderWayError
from pixmill_shared.database.maintenance_lock import alone_at_maintenance
from pixmill_shared.database.migrate import head
from pixmill_shared.domain.backups import Manifest
from pixmill_shared.observability.logs import configure_logging
from pixmill_shared.runtime import Runtime
from pixmill_shared.service import restoring
from pixmill_shared.service.backing_up import back_up
from pixmill_shared.settings.backup import BackupSettings
from pixmill_shared.settings.database import MigrateSettings

_KEY = "Which one, as `pixmill backups` names it; default: the newest."


@exit_on_error("backups")
def backups(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the backups in the storage, newest first. Needs no database."""
    found = restoring.available(Runtime().store)
    if as_json:
        typer.echo(json.dumps([json.loads(manifest.document()) for manifest in found], indent=2))
        return
    for manifest in found:
        typer.echo(_line(manifest))
    if not found:
        typer.echo("No backups.")


@exit_on_error("restore")
def restore(
    backup: Annotated[str | None, typer.Option("--backup", metavar="KEY", help=_KEY)] = None,
) -> None:
    """Restore a backup into an empty database, as the role that is to own it.

    The database is that of PIXMILL_MIGRATE_DATABASE_URL, else DATABASE_URL. All of it is restored, or nothing.
    """
    settings, url, store = BackupSettings.load(), MigrateSettings.load().url, Runtime().store
    manifest = restoring.find(store, backup)
    with _reached():
        restoring.restore(store, url, manifest, settings.pg_dump)
    typer.echo(f"Restored {manifest.key}, of {manifest.finished_at:%Y-%m-%d %H:%M:%S} UTC.")
    if manifest.revision != head():
        typer.echo(
            f"Its schema is at revision {manifest.revision}, this pixmill's at {head()}. Now run: pixmill migrate"
        )


@exit_on_error("backup")
def backup() -> None:
    """Back up the database now, without a worker."""
    configure_logging("backup")
    clients = Runtime()
    with _reached(), alone_at_maintenance(clients.database.url) as alone:
        if not alone:
            raise MaintenanceUnderWayError
        made = back_up(clients)
    typer.echo(f"{made['key']}  {made['bytes']} bytes  sha256 {made['sha256']}")


def _line(manifest: Manifest) -> str:
    when = manifest.finished_at.strftime("%Y-%m-%d %H:%M:%SZ")
    return (
        f"{manifest.key}  {when}  {manifest.bytes} bytes  PostgreSQL {manifest.postgres}, revision {manifest.revision}"
    )


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise DatabaseUnreachableError(error) from None
