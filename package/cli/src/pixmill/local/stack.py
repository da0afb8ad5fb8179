"""The local stack, wired together: data directory, servers, processes. For `pixmill up`, the demo and tests."""

import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from pixmill.errors import DataDirError, StackError, StopRequestedError
from pixmill.local import environment, ports, postgres, privileges, redis
from pixmill.local.child import ProcessSpec
from pixmill.local.credentials import FILE_NAME, Credentials
from pixmill.local.datadir import DataDir
from pixmill.local.keeper import RestartPolicy
from pixmill.local.logs import LogSink
from pixmill.local.ports import PortPlan
from pixmill.local.probes import url_of
from pixmill.local.processes import ProcessTable
from pixmill.local.supervisor import Supervisor
from pixmill.settings import process_environment

_LOOPBACK = "127.0.0.1"


class LocalStack:
    """Everything of pixmill on this machine; ``with LocalStack(directory) as stack`` starts and stops it.

    ``plan`` says who listens where; None takes free ports. ``environ`` is what the user's variables are taken from
    (None: this process's). ``log`` gets the lines of all processes. ``servers_only`` leaves out everything of
    pixmill itself. A ``throwaway`` stack removes its data when it stops, wherever that was put.
    """

    def __init__(
        self,
        data_dir: Path,
        plan: PortPlan | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        log: TextIO | None = None,
        colour: bool = False,
        servers_only: bool = False,
        throwaway: bool = False,
        policy: RestartPolicy | None = None,
    ) -> None:
        given = process_environment() if environ is None else dict(environ)
        self.data = DataDir(data_dir)
        self.bind = given.get("PIXMILL_BIND") or _LOOPBACK
        self.plan = plan or PortPlan.free(self.bind)
        self.server_directory = self.data.path
        self.environment: dict[str, str] = {}
        self.servers: dict[str, str] = {}
        self._given = given
        self._sink = LogSink(log or sys.stdout, colour)
        self._servers_only = servers_only
        self._throwaway = throwaway
        self._policy = policy
        self._user = privileges.server_user()
        self._resources = ExitStack()
        self._database: postgres.PostgresServer | None = None
        self._supervisor: Supervisor | None = None
        self._stop_requested = False

    def start(self) -> None:
        """Return when every process is ready. Raises StackError, with everything stopped again."""
        try:
            groups = self._prepared()
            self._supervisor = Supervisor(groups, self._sink, self._policy)
            if self._stop_requested:
                raise StopRequestedError("Stopped before anything ran.")
            self._supervisor.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in reverse order and give the data directory free. Harmless when nothing runs."""
        if self._supervisor is not None:
            self._supervisor.stop()
        # Last, and only what this stack held the lock of.
        self._resources.close()

    def wait(self, timeout: float | None = None) -> None:
        """Return when the stack was stopped; raise StackError when it broke, TimeoutError when it still runs."""
        if self._supervisor is not None:
            self._supervisor.wait(timeout)

    def request_stop(self) -> None:
        """Begin to stop; `wait` and `start` then return. May be called from a signal handler."""
        self._stop_requested = True
        if self._supervisor is not None:
            self._supervisor.request_stop()

    def kill(self) -> None:
        """Stop without grace."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return self._supervisor.pids() if self._supervisor is not None else {}

    @property
    def database(self) -> postgres.PostgresServer:
        """The embedded Postgres, of a stack that was started: its owner's URL, and the superuser's connection."""
        if self._database is None:
            raise StackError("The stack was not started.")
        return self._database

    @property
    def urls(self) -> dict[str, str]:
        """Where each process of the plan answers: the API, Flower, and the health ports by name."""
        return {name: url_of(self.bind, port) for name, port in self.plan.items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepared(self) -> list[list[ProcessSpec]]:
        try:
            return self._prepare()
        except OSError as error:
            raise DataDirError(f"Cannot use {error.filename}: {error.strerror}. Name another --data-dir.") from None

    def _prepare(self) -> list[list[ProcessSpec]]:
        # Root's servers are somebody else, who must be able to pass through the directory, if not to list it.
        self.data.prepare(0o700 if self._user is None else 0o711)
        self._resources.enter_context(self.data.locked())
        if self._throwaway:
            self._resources.callback(self._remove_data)
        if not self._servers_only:
            self.plan.require_free(self.bind)
        for remark in environment.remarks(self._given):
            self._sink.note(remark)
        state = self.data.read_state()
        self.server_directory = privileges.server_directory(self.data.path, self._user, state.get("server_directory"))
        database, broker, credentials = self._servers(state)
        self._database = database
        addresses = environment.Addresses(database.app_url, database.migrate_url, broker.url)
        variables = environment.process_variables(self._given, addresses, credentials, self.data, self.plan)
        self.environment = environment.variables_for_shell(variables, addresses)
        self.data.write_environment(self.environment)
        servers = [[self._postgres_spec(database)], [self._redis_spec(broker)]]
        if self._servers_only:
            return servers
        return [*servers, *ProcessTable(variables, addresses.migrate_url, self.plan, self.data.run).groups()]

    def _remove_data(self) -> None:
        for directory in {self.server_directory, self.data.path}:
            shutil.rmtree(directory, ignore_errors=True)

    def _servers(self, state: dict[str, object]) -> tuple[postgres.PostgresServer, redis.RedisServer, Credentials]:
        database_directory = self.server_directory / "postgres"
        if postgres.has_cluster(database_directory) and not (self.data.path / FILE_NAME).exists():
            raise DataDirError(
                f"{self.data.path / FILE_NAME} is gone, and without its passwords the database in "
                f"{database_directory} cannot be opened. Bring it back, or start with an empty --data-dir."
            )
        credentials = Credentials.load_or_create(self.data.path)
        postgres_port, redis_port = self._server_ports(state)
        found_postgres = postgres.find_postgres(self._user)
        database = postgres.PostgresServer(found_postgres, database_directory, postgres_port, credentials, self._user)
        found = redis.find_redis(self._user, self._given.get("PATH"))
        broker = redis.RedisServer(found, self.server_directory / "redis", redis_port, credentials, self._user)
        elsewhere = None if self.server_directory == self.data.path else str(self.server_directory)
        self.data.write_state({"server_directory": elsewhere, "postgres_port": postgres_port, "redis_port": redis_port})
        database.prepare()
        broker.prepare()
        self.servers = {"postgres": f"{_LOOPBACK}:{postgres_port}", broker.label: f"{_LOOPBACK}:{redis_port}"}
        return database, broker, credentials

    def _server_ports(self, state: dict[str, object]) -> tuple[int, int]:
        planned = frozenset(port for _, port in self.plan.items())
        wanted = [
            port if isinstance(port := state.get(f"{name}_port"), int) else None for name in ("postgres", "redis")
        ]
        first = ports.choose_free(_LOOPBACK, wanted[0], planned)
        return first, ports.choose_free(_LOOPBACK, wanted[1], planned | {first})

    def _postgres_spec(self, server: postgres.PostgresServer) -> ProcessSpec:
        return ProcessSpec(
            "postgres",
            tuple(server.argv),
            privileges.SERVER_ENVIRONMENT,
            Path("/"),
            server.ready,
            self._user,
            # Not the polite SIGTERM, which waits for clients to leave; and after a kill its old processes may
            # hold on to its memory for some seconds, in which it cannot start.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            max_deaths=6,
        )

    def _redis_spec(self, server: redis.RedisServer) -> ProcessSpec:
        return ProcessSpec(
            "redis",
            tuple(server.argv),
            privileges.SERVER_ENVIRONMENT,
            Path("/"),
            server.ready,
            self._user,
            orphan_signal=signal.SIGTERM,
        )
