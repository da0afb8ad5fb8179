"""The database of commands that administer: DATABASE_URL, and sentences where it cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError, ProgrammingError

from pixmill.errors import DatabaseUnreachableError, SchemaMissingError
from pixmill_shared.database.engine import Database
from pixmill_shared.settings.database import DatabaseSettings


@contextmanager
def opened_database() -> Iterator[Database]:
    """Closed at the end. Raises DatabaseUnreachableError or SchemaMissingError."""
    database = Database(DatabaseSettings.load().url)
    try:
        yield database
    except OperationalError as error:
        raise DatabaseUnreachableError(error) from None
    except ProgrammingError:
        raise SchemaMissingError from None
    finally:
        database.dispose()
