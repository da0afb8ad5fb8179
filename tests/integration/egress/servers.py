"""Servers on loopback that count their accepts and misbehave as told: the other side of the guarded transport."""

import re
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Conversation:
    """One accepted connection whose request has been read."""

    sock: socket.socket
    head: str
    body: bytes
    stopping: threading.Event

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: (.*?)\r?$", self.head, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None

    @property
    def target(self) -> str:
        return self.head.split(" ", 2)[1]


Handler = Callable[[Conversation], None]


@dataclass
class Server:
    """Accepts on a free port until ``stop``; ``accepts`` counts connections, ``seen`` the requests.

    ``reads=False`` calls the handler at once, with an empty request.
    """

    handler: Handler
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    reads: bool = True
    accepts: int = 0
    seen: list[Conversation] = field(default_factory=list)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((self.host, 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/", host: str | None = None) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if not select.select([self._listener], [], [], 0.02)[0]:
                continue
            sock, _ = self._listener.accept()
            self.accepts += 1
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(60)
        sock = raw
        try:
            if self.tls:
                sock = self.tls.wrap_socket(raw, server_side=True)
            conversation = self._read(sock) if self.reads else Conversation(sock, "", b"", self._stopping)
            self.seen.append(conversation)
            self.handler(conversation)
        except OSError:
            pass  # the client went away, as many tests want
        finally:
            sock.close()

    def _read(self, sock: socket.socket) -> Conversation:
        def more() -> bytes:
            chunk = sock.recv(65536)
            if not chunk:
                raise ConnectionResetError  # the client was killed meanwhile: what it sent is no request
            return chunk

        data = b""
        while b"\r\n\r\n" not in data:
            data += more()
        head, body = data.split(b"\r\n\r\n", 1)
        conversation = Conversation(sock, head.decode("latin-1"), body, self._stopping)
        length = int(conversation.header("content-length") or 0)
        while len(conversation.body) < length:
            conversation.body += more()
        return conversation


def answer(status: int, body: bytes = b"", **headers: str) -> Handler:
    """A complete answer with its Content-Length; header names are written with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return lambda conversation: conversation.send("\r\n".join([*lines, "", ""]).encode() + body)


def raw(data: bytes) -> Handler:
    return lambda conversation: conversation.send(data)


def drip(prefix: bytes) -> Handler:
    """Send ``prefix``, then a byte every 50 ms, which no time-out per read would end, for half a minute.

    After it the server ends the connection: whoever had no deadline sees that, and no time-out.
    """

    def handle(conversation: Conversation) -> None:
        conversation.send(prefix)
        for _ in range(600):
            if conversation.stopping.wait(0.05):
                return
            conversation.send(b"x")

    return handle


def stall(conversation: Conversation) -> None:
    """As ``drip``, without a byte."""
    conversation.stopping.wait(30)


def proxy(names: dict[str, tuple[str, int]]) -> Handler:
    """An HTTP proxy: CONNECT, and absolute URLs. ``names`` is its own DNS; literal addresses need no entry."""

    def handle(conversation: Conversation) -> None:
        method, target, _ = conversation.head.split(" ", 2)
        authority = target if method == "CONNECT" else target.split("/")[2]
        host, _, port = authority.rpartition(":")
        where = names.get(host) or (host.strip("[]"), int(port))
        with socket.create_connection(where, timeout=60) as upstream:
            if method == "CONNECT":
                conversation.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                upstream.sendall(conversation.head.replace(target, path, 1).encode() + b"\r\n\r\n")
            _pump(conversation.sock, upstream, conversation.stopping)

    return handle


def _pump(left: socket.socket, right: socket.socket, stopping: threading.Event) -> None:
    while not stopping.is_set():
        for source in select.select([left, right], [], [], 0.02)[0]:
            data = source.recv(65536)
            if not data:
                return
            (right if source is left else left).sendall(data)
