"""A door before the bucket, which can answer 500 to every request, or take them and never answer."""

import contextlib
import socket
import threading
from enum import Enum
from typing import Final

_ERROR: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Mode(Enum):
    OPEN = "open"
    ERROR = "error"
    HANG = "hang"


class StorageGate:
    """Bytes pass unchanged, so that signatures hold. A change of mode cuts all connections.

    ``refused`` counts the requests that came in another mode than OPEN.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._mode = Mode.OPEN
        self.refused = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def switch(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode
            cut, self._connections = self._connections, set()
        for connection in cut:
            _close(connection)

    def close(self) -> None:
        _close(self._listener)
        self.switch(Mode.OPEN)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _keep(self, mode: Mode, *connections: socket.socket) -> bool:
        with self._lock:
            if self._mode is mode:
                self._connections.update(connections)
                return True
        for connection in connections:
            _close(connection)
        return False

    def _serve(self, connection: socket.socket) -> None:
        mode = self._mode
        with contextlib.suppress(OSError):
            if mode is Mode.OPEN:
                server = socket.create_connection(self._target)
                if self._keep(mode, connection, server):
                    threading.Thread(target=_pump, args=(server, connection), daemon=True).start()
                    _pump(connection, server)
            elif self._keep(mode, connection):
                self._refuse(connection, mode)

    def _refuse(self, connection: socket.socket, mode: Mode) -> None:
        while received := connection.recv(65_536):
            if b"HTTP/1.1\r\n" not in received:
                continue  # more of a body
            self.refused += 1
            if mode is Mode.ERROR:
                connection.sendall(_ERROR)
                break
        if mode is Mode.ERROR:
            # What is left of the body is read, so that the answer is not lost with a reset.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
            _close(connection)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    _close(source)
    _close(sink)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
