"""Real servers for tests: an embedded Postgres and Redis in a directory of their own, on free ports."""

import io
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg2
import psycopg2.errors
import redis

from pixmill.local.stack import LocalStack
from pixmill_shared.database.migrate import migrate

_TEMPLATE: Final = "test_template"


@dataclass
class Servers:
    """One Postgres, which holds a database per test module, and one Redis."""

    stack: LocalStack
    log: io.StringIO
    _template_made: bool = field(default=False, init=False)

    @property
    def redis_url(self) -> str:
        return self.stack.environment["REDIS_URL"]

    @property
    def app_url(self) -> str:
        return self.stack.environment["DATABASE_URL"]

    def empty_broker(self) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def new_database(self) -> str:
        """A migrated database of the role that owns it, and its URL: a copy of one that was migrated once."""
        if not self._template_made:
            self._as_superuser(f"CREATE DATABASE {_TEMPLATE} OWNER migrate")
            migrate(self._url(_TEMPLATE))
            self._template_made = True
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._copy_template(name)
        return self._url(name)

    def _copy_template(self, name: str) -> None:
        """Postgres gives who is about to leave the template, and its own vacuum, five seconds: a busy machine more."""
        deadline = time.monotonic() + 60
        while True:
            late = time.monotonic() > deadline
            try:
                self._as_superuser(f"CREATE DATABASE {name} OWNER migrate TEMPLATE {_TEMPLATE}")
            except psycopg2.errors.ObjectInUse:
                if late:
                    raise
            else:
                return

    def trust_the_machine(self) -> None:
        """No waiting for the disk: tests kill Postgres, but never the machine. A commit still leaves the process."""
        for setting in ("fsync", "full_page_writes"):
            self._as_superuser(f"ALTER SYSTEM SET {setting} = off")
        self._as_superuser("SELECT pg_reload_conf()")

    def _url(self, database: str) -> str:
        url = urlsplit(self.stack.database.migrate_url)._replace(path=f"/{database}").geturl()
        return url.replace("postgresql://", "postgresql+psycopg2://", 1)

    def _as_superuser(self, statement: str) -> None:
        """``migrate`` may neither make databases nor change settings."""
        superuser = self.stack.database.connection_parameters("postgres")
        connection = psycopg2.connect(**{**superuser, "connect_timeout": 60})
        connection.autocommit = True
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()


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
