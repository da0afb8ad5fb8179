"""``/health``, ``/health/ready`` and ``/metrics`` of every process but the API, on a port of its own.

Liveness is the age of the process' own tick: it answers while the broker is down, and fails when the loop hangs.
Readiness is a list of named checks (database, broker), each run with its own time-out.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pixmill_shared.observability.logs import get_logger
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)

STALE_AFTER: Final = 15.0
"""Seconds without a tick after which the process counts as hanging."""

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


def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Run each check; ``ok`` or ``unavailable`` a name. The reason goes to the log, not to the caller."""
    results = {}
    for name, check in checks.items():
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the answer is the same
            log.warning("readiness check failed", check=name, error=str(error))
            results[name] = "unavailable"
        else:
            results[name] = "ok"
    return all(value == "ok" for value in results.values()), results


class HealthServer:
    """A daemon thread; ``start()`` raises OSError if the port is taken."""

    def __init__(self, pulse: Pulse, checks: Mapping[str, Check], settings: ListenSettings) -> None:
        self._pulse = pulse
        self._checks = checks
        self._address = (settings.bind, settings.port)
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._server = ThreadingHTTPServer(self._address, self._handler())
        self._server.daemon_threads = True
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
            ready, results = readiness(self._checks)
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


def _json(status: int, document: dict[str, Any]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(document).encode()
