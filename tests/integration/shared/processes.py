"""Real processes of pixmill, with a log to read and a health port to ask."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests import preloaded
from tests.ports import free_port

BIN = Path(sys.executable).parent
T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float, what: str = "the condition") -> T:
    """The first true value of ``condition``; fails when it is false still after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        # Taken first: who stood still past the deadline looks once more.
        late = time.monotonic() > deadline
        if value := condition():
            return value
        if late:
            raise AssertionError(f"{what} did not come true in {seconds:g} s")
        time.sleep(0.02)


@dataclass
class Running:
    """One process; ``port`` is its health port."""

    name: str
    popen: "subprocess.Popen[bytes]"
    port: int
    log_file: Path

    @property
    def log(self) -> str:
        # What is being written may end within a character.
        return self.log_file.read_text(errors="replace")

    @property
    def lines(self) -> list[dict[str, object]]:
        """The log's JSON lines, without one that is being written."""
        whole = self.log.rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    @property
    def children(self) -> list[int]:
        path = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def ask(self, path: str, timeout: float = 30) -> tuple[int, str]:
        """Status and body; status 0 while nothing listens, or answers in time."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
            return 0, ""

    def checks(self) -> dict[str, str]:
        """What it says of each that it needs; nothing while it does not answer."""
        body = self.ask("/health/ready")[1]
        return dict(json.loads(body)["checks"]) if body else {}

    def wait_ready(self, seconds: float = 90) -> None:
        def ready() -> bool:
            assert self.popen.poll() is None, f"{self.name} ended:\n{self.log}"
            return self.ask("/health/ready")[0] == 200

        try:
            wait_until(ready, seconds, f"{self.name}'s readiness")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None

    def metric(self, name: str, *labels: str) -> float:
        """The sum of the samples of ``name`` that carry all ``labels``, written as in the exposition."""
        # No answer is none, and not that nothing was counted.
        told = wait_until(lambda: self.ask("/metrics")[1], 60, f"what {self.name} counts")
        lines = [line for line in told.splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))

    def end(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(seconds)


class Fleet:
    """Starts processes with one environment and stops what is left at the end."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        self._directory = directory
        self.started: list[Running] = []

    def start(self, name: str, *argv: str, port: int | None = None, **changes: str | None) -> Running:
        """``changes`` are variables; None takes one away."""
        port = free_port() if port is None else port
        path = os.pathsep.join(filter(None, (str(preloaded.LEAN), changes.get("PYTHONPATH"))))
        wanted = {**self.environment, "PIXMILL_PORT": str(port), **changes, "PYTHONPATH": path}
        log_file = self._directory / f"{name}-{len(self.started)}.log"
        with log_file.open("wb") as log:
            given = {key: value for key, value in wanted.items() if value is not None}
            popen = preloaded.start([*argv], given, log, self._directory)
        running = Running(name, popen, port, log_file)
        self.started.append(running)
        return running

    def worker(self, name: str, app: str, *options: str, port: int | None = None, **changes: str | None) -> Running:
        argv = [str(BIN / "celery"), "-A", app, "worker", "-n", f"{name}@%h", "--without-gossip", "--without-mingle"]
        return self.start(name, *argv, *options, port=port, **changes)

    def dispatcher(self, name: str = "dispatcher", **changes: str | None) -> Running:
        return self.start(name, str(BIN / "python"), "-m", "pixmill_shared.dispatcher", **changes)

    def stop(self) -> None:
        left = [running.popen for running in reversed(self.started) if running.popen.poll() is None]
        for popen in left:
            popen.send_signal(signal.SIGCONT)
            popen.terminate()
        for popen in left:
            try:
                popen.wait(15)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait(60)


class Gate:
    """A door before a server: shut, it cuts what goes through and refuses what comes, as a server that is down."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._through: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        # Kept for it while it is shut too.
        self.port = free_port()
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        assert self._listener is not None
        with self._lock:
            through, self._through = [self._listener, *self._through], []
            self._listener = None
        for each in through:
            _end(each)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            self._let_in(listener, inner)

    def _let_in(self, listener: socket.socket, inner: socket.socket) -> None:
        try:
            outer = socket.create_connection(self._target)
        except OSError:
            _end(inner)
            return
        with self._lock:
            # Who came in as it was shut is not let through.
            still_open = self._listener is listener
            if still_open:
                self._through += [inner, outer]
        if not still_open:
            _end(inner)
            _end(outer)
            return
        for source, sink in ((inner, outer), (outer, inner)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def environment_of(stack_environment: dict[str, str], database_url: str, directory: Path) -> dict[str, str]:
    """Of a process: the stack's, with a database and a storage of the test's own. Production: JSON lines."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(directory),
        **stack_environment,
        "DATABASE_URL": database_url,
        "PIXMILL_ENV": "production",
        "PIXMILL_STORAGE_URL": (directory / "objects").as_uri(),
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stopped by SIGSTOP around the block: it keeps its connections and answers nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
