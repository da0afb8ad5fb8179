"""Migrations: shipped inside the package, run by ``pixmill migrate`` under an advisory lock.

Alembic takes no lock of its own, so two deployments that start at once would run the same migration twice.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from pixmill_shared.database.engine import unpooled_engine
from pixmill_shared.errors import PixmillError

_LOCK: Final = 7_306_086_967_071_401  # any constant of ours


class MigrationLocked(PixmillError):
    """Another process migrates and did not finish in time."""


def migrate(url: str, *, wait: float = 60) -> str:
    """Bring the schema to the newest revision and return it. Waits up to ``wait`` seconds for a migration that runs."""
    engine = unpooled_engine(url, statement_timeout=600)
    with _locked(engine, wait), engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head()


def head() -> str:
    """The newest revision that this code knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(connection: Connection) -> str | None:
    """The revision of the database, None if it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("pixmill_shared.database") / "migrations"))
    return config


@contextmanager
def _locked(engine: Engine, wait: float) -> Iterator[None]:
    deadline = time.monotonic() + wait
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:id)"), {"id": _LOCK}):
            if time.monotonic() > deadline:
                raise MigrationLocked(f"Another migration has run for {wait:.0f} s. Wait for it, then try again.")
            time.sleep(0.2)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": _LOCK})
