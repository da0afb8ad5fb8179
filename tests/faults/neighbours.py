"""Where sources come from and webhooks go to, on loopback. Every webhook is kept."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Hook:
    """One request of a webhook; ``answered`` is our status."""

    id: str
    type: str
    job_id: str
    answered: int
    at: float


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is what all this is for."""


class Neighbours:
    """``/picture/NAME`` serves a picture, ``/once/ANY/NAME`` after one 503, ``/held/ANY/NAME`` once it is released (503
    before that), ``/text`` bytes that are none; the rest is 404. ``unwilling`` is how many of the next events are
    answered with 500 when they come for the first time.
    """

    def __init__(self, pictures: dict[str, bytes]) -> None:
        self._pictures = pictures
        self._refused: set[str] = set()
        self._lock = threading.Lock()
        self.hooks: list[Hook] = []
        self.unwilling = 0
        self._released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        """Sources that were held are served from now on."""
        self._released.set()

    def hold(self) -> None:
        self._released.clear()

    def _found(self, path: str) -> tuple[int, bytes]:
        kind, _, rest = path.strip("/").partition("/")
        if kind == "text":
            return 200, b"This is a text, and no picture.\n" * 20
        if kind == "once" and self._is_new(path):
            return 503, b""
        if kind == "held" and not self._released.wait(4):
            return 503, b""
        if kind in ("picture", "once", "held"):
            return 200, self._pictures[rest.rpartition("/")[2]]
        return 404, b""

    def _is_new(self, what: str) -> bool:
        with self._lock:
            known = what in self._refused
            self._refused.add(what)
        return not known

    def _take(self, message_id: str, body: bytes) -> int:
        event = json.loads(body)
        with self._lock:
            refuse = self.unwilling > 0 and message_id not in self._refused
            if refuse:
                self._refused.add(message_id)
                self.unwilling -= 1
            status = 500 if refuse else 204
            self.hooks.append(Hook(message_id, event["type"], event["data"]["job_id"], status, time.time()))
        return status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = outer._found(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(outer._take(self.headers["webhook-id"], body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
