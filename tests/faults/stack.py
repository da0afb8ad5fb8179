"""The whole of pixmill under test: real processes that are started again when they die, with short leases."""

import contextlib
import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg2
import redis
from psycopg2.extras import RealDictCursor

from pixmill.local.keeper import RestartPolicy
from pixmill.local.stack import LocalStack
from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, open_store
from tests.faults.armed import Armed
from tests.faults.neighbours import Neighbours
from tests.faults.storage_gate import StorageGate
from tests.s3 import S3
from tests.waiting import eventually

#: Seconds, but for the counts. What a fault costs is bounded by these.
SHORT: Mapping[str, str] = {
    "PIXMILL_LEASE": "4",
    "PIXMILL_REDISPATCH_AFTER": "4",
    "PIXMILL_TASK_SOFT_TIME_LIMIT": "8",
    "PIXMILL_TASK_TIME_LIMIT": "9",
    "PIXMILL_SHUTDOWN_TIMEOUT": "3",
    "PIXMILL_FETCH_TIMEOUT": "5",
    "PIXMILL_WEBHOOK_TIMEOUT": "3",
    "PIXMILL_STORAGE_TIMEOUT": "1",
    "PIXMILL_IMAGING_MEMORY_LIMIT": "2097152",
    "PIXMILL_IMAGING_CONCURRENCY": "2",
}
#: As pixmill comes: an empty variable counts as unset.
AS_INSTALLED: Mapping[str, str] = dict.fromkeys(SHORT, "")


@dataclass
class Stack:
    """``uploads`` are ids by the name of a picture, which ``neighbours`` serves too."""

    local: LocalStack
    http: httpx.Client
    neighbours: Neighbours
    gate: StorageGate
    armed: Armed
    store: ObjectStore
    log: io.StringIO
    uploads: dict[str, str] = field(default_factory=dict)

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """As the superuser, in a transaction of its own; what is changed is kept."""
        connection = psycopg2.connect(**self.local.database.connection_parameters("pixmill"))
        try:
            with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(sql, parameters)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def patient_rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """As ``rows``, and waits for a database that is away."""

        def ask() -> list[list[dict[str, Any]]]:
            with contextlib.suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
                return [self.rows(sql, parameters)]
            return []

        return eventually(ask, 60)[0]

    @property
    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.local.environment["REDIS_URL"], socket_timeout=60)

    def children(self, name: str) -> list[int]:
        pid = self.local.pids()[name]
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_whole(self, within: float = 90) -> None:
        """Until every process runs and says that it is ready."""
        wanted = {"postgres", "redis", *self.local.urls}

        def whole() -> bool:
            self.local_runs()
            return wanted <= set(self.local.pids()) and all(map(self._ready, self.local.urls))

        eventually(whole, within, every=0.1)

    def local_runs(self) -> None:
        """Raises if the supervisor gave up."""
        with contextlib.suppress(TimeoutError):
            self.local.wait(0)

    def _ready(self, name: str) -> bool:
        path = "/healthcheck" if name == "flower" else "/health/ready"
        try:
            return httpx.get(self.local.urls[name] + path, timeout=3, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_stack(directory: Path, s3: S3, **changes: str) -> Iterator[Stack]:
    """Started and stopped around the block. ``changes`` are variables that differ from ``SHORT``."""
    pictures = {f"p{number}": jpeg(photo(700 + 60 * number, 480, seed=40 + number)) for number in range(4)}
    gate, armed, log = StorageGate(urlsplit(s3.root).port or 80), Armed(directory / "failpoints"), io.StringIO()
    # Processes may run as another user than the test; the directory is theirs to write to.
    armed.directory.chmod(0o777)
    with Neighbours(pictures) as neighbours:
        prefix = f"faults-{time.time_ns()}"
        environ = {
            **SHORT,
            **s3.variables(prefix),
            "AWS_ENDPOINT_URL": gate.url,
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "PIXMILL_ENV": "test",
            "PIXMILL_FAILPOINTS": str(armed.directory),
            "PIXMILL_EGRESS_ALLOW": f"127.0.0.1:{neighbours.port}",
            **changes,
        }
        policy = RestartPolicy(window=2, first_delay=0.2, longest_delay=1)
        local = LocalStack(directory / "stack", environ=environ, log=log, throwaway=True, policy=policy)
        try:
            local.start()
            with httpx.Client(base_url=local.urls["api"], timeout=60, trust_env=False) as http:
                stack = Stack(local, http, neighbours, gate, armed, _store(s3, prefix), log)
                for name, data in pictures.items():
                    answer = http.post("/api/v1/uploads", content=data, headers={"Content-Type": "image/jpeg"})
                    stack.uploads[name] = answer.raise_for_status().json()["upload_id"]
                yield stack
        except BaseException:
            print(log.getvalue()[-6000:])
            raise
        finally:
            armed.clear()
            gate.close()
            local.stop()


def _store(s3: S3, prefix: str) -> ObjectStore:
    """The bucket without the gate, for those who look."""
    settings = StorageSettings.model_validate(s3.variables(prefix))
    return open_store(settings, None, "http://nobody")  # type: ignore[arg-type]
