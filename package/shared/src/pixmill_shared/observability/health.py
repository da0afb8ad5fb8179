"""``/health``, ``/health/ready`` and ``/metrics`` of every process but the API, on a port of its own.

Liveness is the age of the process' own tick: it answers while the broker is down, and fails when the loop hangs.
Readiness is a list of named checks (database, broker). A probe waits a bounded time for all of them: a frozen server
makes it say so, not hang.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pixmill_shared.observability.logs import get_logger
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)

STALE_AFTER: Final = 15.0
"""Seconds without a tick after which the process counts as hanging."""

CHECK_TIMEOUT: Final = 3.0
"""Seconds that a probe waits for the readiness checks."""

Check = Callable[[], None]


class Pulse:
    """Ticked by a loop; asked by the probe."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def tick(self) -> None:
        self._last = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last tick."""
        return time.monotonic() - self._last


class Readiness:
    """Named checks, run side by side. One that still hangs since the last probe is not started again beside it."""

    def __init__(self, checks: Mapping[str, Check], timeout: float = CHECK_TIMEOUT) -> None:
        self._checks = checks
        self._timeout = timeout
        self._running: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def ask(self) -> tuple[bool, dict[str, str]]:
        """Are all well; ``ok`` or ``unavailable`` a name. The reason goes to the log, not to the caller."""
        deadline = time.monotonic() + self._timeout
        answers = {name: self._started(name) for name in self._checks}
        results = {name: self._result(name, answer, deadline) for name, answer in answers.items()}
        return all(value == "ok" for value in results.values()), results

    def _started(self, name: str) -> Future[None]:
        with self._lock:
            answer = self._running.get(name)
            if answer is None or answer.done():
                answer = self._running[name] = Future()
                threading.Thread(target=_run, args=(self._checks[name], answer), name=name, daemon=True).start()
            return answer

    def _result(self, name: str, answer: Future[None], deadline: float) -> str:
        try:
            answer.result(timeout=max(deadline - time.monotonic(), 0))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the answer is the same
            log.warning("readiness check failed", check=name, error=str(error) or type(error).__name__)
            return "unavailable"
        return "ok"


def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Ask once: ``Readiness`` without a memory, for a caller that has its own."""
    return Readiness(checks).ask()


def _run(check: Check, answer: Future[None]) -> None:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - a thread's boundary: raised again in the probe that asks
        answer.set_exception(error)
    else:
        answer.set_result(None)


class HealthServer:
    """A daemon thread; ``start()`` raises OSError if the port is taken."""

    def __init__(self, pulse: Pulse, checks: Mapping[str, Check], settings: ListenSettings) -> None:
        self._pulse = pulse
        self._readiness = Readiness(checks)
        self._address = (settings.bind, settings.port)
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """``host:port`` to listen on."""
        return f"{self._address[0]}:{self._address[1]}"

    def start(self) -> None:
        family = _IPv6Server if ":" in self._address[0] else _Server
        self._server = family(self._address, self._handler())
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a GET."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        if path == "/health":
            alive = self._pulse.age < STALE_AFTER
            return _json(200 if alive else 503, {"status": "healthy" if alive else "hanging"})
        if path == "/health/ready":
            ready, results = self._readiness.ask()
            return _json(200 if ready else 503, {"status": "ready" if ready else "not ready", "checks": results})
        return _json(404, {"detail": "There is /health, /health/ready and /metrics."})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                status, content_type, body = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Probes come every few seconds; they are not news."""

        return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A probe that did not wait for its answer is not news either: its own time was over."""
        if not isinstance(sys.exception(), ConnectionError):
            log.exception("unexpected error while answering a probe")


class _IPv6Server(_Server):
    address_family = socket.AF_INET6


def _json(status: int, document: dict[str, Any]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(document).encode()
