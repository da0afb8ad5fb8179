"""`pixmill migrate`: bring the database's schema to the newest revision."""

import typer
from sqlalchemy.exc import OperationalError

from pixmill.commands.failing import exit_on_error
from pixmill.errors import DatabaseUnreachableError
from pixmill_shared.database.migrate import migrate as run
from pixmill_shared.settings.database import MigrateSettings


@exit_on_error("migrate")
def migrate() -> None:
    """Run the migrations as the role that owns the schema (PIXMILL_MIGRATE_DATABASE_URL, else DATABASE_URL)."""
    try:
        revision = run(MigrateSettings.load().url)
    except OperationalError as error:
        raise DatabaseUnreachableError(error) from None
    typer.echo(f"The schema is at revision {revision}.")
