"""Servers on loopback that misbehave in every way that a source can, and one that nobody may reach."""

import errno
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MEGABYTE = 1_000_000


class _Server(ThreadingHTTPServer):
    # A dozen clients may come while this process stands still: whom there is no place for, has to dial again.
    request_queue_size = 128
    daemon_threads = True


class Neighbour:
    """``serve(name, body)`` makes a picture; ``/stall``, ``/drip``, ``/big``, ``/endless``, ``/cut``, ``/redirect?to``
    misbehave; POSTs to ``/hook`` are kept in ``webhooks`` as (headers, body)."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._closing = threading.Event()
        self.webhooks: list[tuple[dict[str, str], bytes]] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hook_url(self) -> str:
        return f"{self.base}/hook"

    def serve(self, name: str, body: bytes) -> str:
        self._files[f"/{name}"] = body
        return f"{self.base}/{name}"

    def webhooks_of(self, job_id: str) -> list[tuple[dict[str, str], bytes]]:
        return [hook for hook in list(self.webhooks) if job_id.encode() in hook[1]]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                try:
                    misbehave = getattr(self, f"get_{path.strip('/')}", None)
                    if misbehave is not None:
                        misbehave(query)
                    else:
                        self.answer(outer._files.get(path))
                except (BrokenPipeError, ConnectionResetError):
                    return  # the client gave up: that is what many of these are for

            def answer(self, body: bytes | None) -> None:
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def get_stall(self, _query: str) -> None:
                outer._closing.wait(30)

            def get_drip(self, _query: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                while not outer._closing.wait(1):
                    self.wfile.write(b"x")
                    self.wfile.flush()

            def get_big(self, _query: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(60 * MEGABYTE))
                self.end_headers()
                self.pour()

            def get_endless(self, _query: str) -> None:
                self.send_response(200)
                self.end_headers()
                self.pour()

            def pour(self) -> None:
                for _ in range(60):
                    self.wfile.write(bytes(MEGABYTE))

            def get_redirect(self, query: str) -> None:
                self.send_response(302)
                self.send_header("Location", query)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    raise ConnectionResetError  # the client was killed meanwhile: what it sent is no webhook
                outer.webhooks.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class CountingListener:
    """Counts connections on loopback, IPv4 and IPv6."""

    def __init__(self) -> None:
        self.accepts = 0
        self._sockets = _listening_on_one_port()
        self.port = self._sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        for listening in self._sockets:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listening in self._sockets:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def settle(self) -> int:
        """Connect once ourselves, and return how many others came: a listener that hears nothing proves nothing."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60):
            deadline = time.monotonic() + 60
            while self.accepts == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
        assert self.accepts > 0
        return self.accepts - 1

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.accepts += 1
            connection.close()


def _listening_on_one_port() -> list[socket.socket]:
    """The port that is free by IPv4 may be somebody else's by IPv6: then another one."""
    for _ in range(100):
        first = _listening(socket.AF_INET, "127.0.0.1", 0)
        if not socket.has_ipv6:
            return [first]
        try:
            return [first, _listening(socket.AF_INET6, "::1", first.getsockname()[1])]
        except OSError as error:
            first.close()
            if error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("no port is free by both")


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.bind((address, port))
    except OSError:
        listening.close()
        raise
    listening.listen(128)
    return listening
