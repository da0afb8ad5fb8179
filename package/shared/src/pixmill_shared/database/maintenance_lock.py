"""Maintenance is done by one at a time, in whichever process: backup, clean-up, the look at the storage."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from pixmill_shared.database.engine import unpooled_engine


@contextmanager
def alone_at_maintenance(url: str) -> Iterator[bool]:
    """Whether nobody else does any, and while the block runs nobody does. The lock goes with the process."""
    engine = unpooled_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield bool(connection.scalar(text("SELECT pg_try_advisory_lock(hashtext('pixmill maintenance'))")))
