"""Real servers for tests: an embedded Postgres and Redis in a directory of their own, on free ports."""

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from pixmill.local.stack import LocalStack
from pixmill_shared.database.migrate import migrate


@dataclass
class Servers:
    """One Postgres, which holds a database per test module, and one Redis."""

    stack: LocalStack
    log: io.StringIO

    @property
    def redis_url(self) -> str:
        return self.stack.environment["REDIS_URL"]

    @property
    def app_url(self) -> str:
        return self.stack.environment["DATABASE_URL"]

    def new_database(self) -> str:
        """A migrated database of the role that owns it, and its URL. ``migrate`` may not make databases, so the
        superuser does."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        superuser = self.stack.database.connection_parameters("postgres")
        connection = psycopg2.connect(**superuser)
        connection.autocommit = True
        try:
            connection.cursor().execute(f"CREATE DATABASE {name} OWNER migrate")
        finally:
            connection.close()
        url = urlsplit(self.stack.database.migrate_url)._replace(path=f"/{name}").geturl()
        url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
        migrate(url)
        return url


@contextmanager
def running_servers(directory: Path) -> Iterator[Servers]:
    """Started and stopped around the block."""
    log = io.StringIO()
    stack = LocalStack(
        directory, servers_only=True, throwaway=True, log=log, environ={"PATH": os.environ.get("PATH", "")}
    )
    try:
        stack.start()
    except BaseException:
        print(log.getvalue())
        raise
    try:
        yield Servers(stack, log)
    finally:
        stack.stop()
