"""The API as a process of its own, and what it left behind."""

import contextlib
import os
import select
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg2
from tests import preloaded
from tests.ports import closed_port, free_port

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak no TLS: of their own accord they would read the certificates of the machine, each of them."""
TABLES = (
    *("uploads", "upload_sessions", "upload_parts", "jobs", "batches", "outputs", "job_events", "presets", "endpoints"),
    *("deliveries", "idempotency_records", "api_keys", "audit", "task_requests"),
)


def environment(database_url: str, storage: Path, **changes: str) -> dict[str, str]:
    """Everything that the API reads. The broker's port is closed unless a test says otherwise."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PIXMILL_ENV": "test",
        "PIXMILL_BIND": "127.0.0.1",
        "PIXMILL_SECRET_KEY": "a key for tests only, 0123456789",
        "PIXMILL_STORAGE_URL": storage.as_uri(),
        "DATABASE_URL": database_url,
        "REDIS_URL": f"redis://127.0.0.1:{closed_port()}/0",
        **changes,
    }


def run_to_end(variables: dict[str, str], timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Of a process that is expected to stop by itself."""
    command = [sys.executable, "-m", "pixmill_api"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = preloaded.start(command, variables, out, err=err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        texts = [os.pread(file.fileno(), 1 << 20, 0).decode() for file in (out, err)]
    return subprocess.CompletedProcess(command, code, *texts)


@dataclass
class Api:
    """``client`` follows no redirects and sends ``headers``."""

    url: str
    process: subprocess.Popen[bytes]
    database_url: str
    storage: Path
    client: httpx.Client = field(repr=False)
    _connection: Any = field(default=None, init=False, repr=False)
    _using: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """In a transaction of its own, on a connection that is kept: to make one costs more than most queries."""
        if not self._using.acquire(blocking=False):
            with contextlib.closing(self._connected()) as connection:
                return _rows(connection, sql, values)
        try:
            # Of one that the server has ended there is something to be read.
            if self._connection is not None and select.select([self._connection], [], [], 0)[0]:
                self.disconnect()
            if self._connection is None:
                self._connection = self._connected()
            return _rows(self._connection, sql, values)
        except psycopg2.Error:
            self.disconnect()
            raise
        finally:
            self._using.release()

    def disconnect(self) -> None:
        """The next query connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> Any:
        connection = psycopg2.connect(self.database_url.replace("+psycopg2", ""))
        connection.autocommit = True
        return connection

    def objects(self) -> list[str]:
        """All files of the storage, half-written ones too."""
        return sorted(str(path.relative_to(self.storage)) for path in self.storage.rglob("*") if path.is_file())

    def traces(self) -> dict[str, Any]:
        """Rows a table and objects: equal before and after a request that is refused."""
        counts = self.query("SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES))[0]
        return {**dict(zip(TABLES, counts, strict=True)), "objects": self.objects()}

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024


def _rows(connection: Any, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def running_api(database_url: str, storage: Path, *, killed: bool = False, **changes: str) -> Iterator[Api]:
    """Started, ready, and stopped by SIGTERM, which must end it with 0, unless the block has ``killed`` it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    storage.mkdir(parents=True, exist_ok=True)
    variables = environment(
        database_url, storage, PIXMILL_PORT=str(port), PIXMILL_PUBLIC_URL=url, **{"PIXMILL_AUTH": "off", **changes}
    )
    log = storage.parent / f"{storage.name}.api.log"
    with log.open("wb") as output:
        process = preloaded.start([sys.executable, "-m", "pixmill_api"], variables, output)
    api = None
    try:
        with httpx.Client(base_url=url, timeout=2, verify=PLAIN) as prober:
            _await_health(prober, process, log)
        with httpx.Client(base_url=url, timeout=30, verify=PLAIN) as client:
            api = Api(url, process, database_url, storage, client)
            yield api
    finally:
        if api is not None:
            api.disconnect()
        process.terminate()
        code = process.wait(timeout=120)
    assert code == (-signal.SIGKILL if killed else 0), log.read_text()


def _await_health(prober: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if prober.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the API did not start:\n{log.read_text()}")


def patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Its answer. On a busy machine some wait for the others longer than a lock may be waited for, and are told to come
    again; they do.
    """
    for _ in range(20):
        answer = send()
        if answer.status_code != 503:
            break
    return answer


def ready(api: Api, **checks: str) -> httpx.Response:
    """What it says of its readiness, once it says that of these checks: who stands still is late to each."""
    answers: list[httpx.Response] = []

    def says_so() -> bool:
        answers.append(api.client.get("/health/ready"))
        return bool(answers[-1].json()["checks"].items() >= checks.items())

    wait_until(says_so, f"{checks} are its checks")
    return answers[-1]


def wait_until(condition: Any, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        # Taken first: who stood still past the deadline looks once more.
        late = time.monotonic() > deadline
        if condition():
            return
        assert not late, f"{what}: not within {seconds} s"
        time.sleep(0.02)
