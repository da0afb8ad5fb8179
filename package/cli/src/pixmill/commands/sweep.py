"""`pixmill sweep`: delete now what the nightly clean-up and the hourly sweep of uploads would delete."""

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy.exc import OperationalError, ProgrammingError

from pixmill.commands.failing import exit_on_error
from pixmill.errors import DatabaseUnreachableError, InvalidOptionError, SchemaMissingError
from pixmill_shared.database.engine import Database
from pixmill_shared.observability.logs import configure_logging
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.cleaning import objects_after
from pixmill_shared.service.sweeping import Swept, sweep_objects, sweep_uploads
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.storage import ObjectStore

_OLDER_THAN = "Seconds; default: PIXMILL_SWEEP_AFTER for objects, PIXMILL_UPLOAD_TTL for uploads."


@exit_on_error("sweep")
def sweep(
    older_than: Annotated[int | None, typer.Option(help=_OLDER_THAN)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
) -> None:
    """Delete uploads that no job uses, and objects that no row names.

    With --older-than below the duration of a job, only while nothing runs: objects of unfinished jobs have no row yet.
    """
    if older_than is not None and older_than < 0:
        raise InvalidOptionError("--older-than", "takes seconds, 0 or more")
    configure_logging("sweep")
    ages = [MaintenanceSettings.load().uploads_after, objects_after()]
    if older_than is not None:
        ages = [timedelta(seconds=older_than)] * 2
    clients = Runtime()
    uploads, objects = _swept(clients.database, clients.store, *ages, dry_run=dry_run)
    typer.echo(f"uploads           {uploads.deleted} of {uploads.looked_at}")
    typer.echo(f"objects           {objects.deleted} of {objects.looked_at}, {objects.bytes} bytes")
    typer.echo(f"unfinished files  {objects.unfinished}")


def _swept(
    database: Database, store: ObjectStore, uploads_after: timedelta, objects_after: timedelta, *, dry_run: bool
) -> tuple[Swept, Swept]:
    try:
        uploads = sweep_uploads(database, store, older_than=uploads_after, dry_run=dry_run)
        return uploads, sweep_objects(database, store, older_than=objects_after, dry_run=dry_run)
    except OperationalError as error:
        raise DatabaseUnreachableError(error) from None
    except ProgrammingError:
        raise SchemaMissingError from None
    finally:
        database.dispose()
