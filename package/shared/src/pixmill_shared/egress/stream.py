"""Sockets under a total deadline, connected to addresses that were checked and to nothing else.

httpcore's own stream bounds each system call by itself: a server that sends a byte a second never trips it,
and a receiver that reads a byte a second never trips its writes. Here every call gets what is left of the
deadline.
"""

import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

from pixmill_shared.domain.addresses import IPAddress
from pixmill_shared.egress.deadline import Deadline


class TlsFailed(httpcore.ConnectError):
    """The TLS handshake failed; ``untrusted`` when the reason is the server's certificate."""

    def __init__(self, *, untrusted: bool) -> None:
        super().__init__("the TLS handshake failed")
        self.untrusted = untrusted


class DeadlineStream(httpcore.NetworkStream):
    """``server_name`` is what TLS asks for and verifies, whatever address or proxy the socket leads to."""

    def __init__(self, sock: socket.socket, deadline: Deadline, server_name: str) -> None:
        self._sock = sock
        self._deadline = deadline
        self._server_name = server_name

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self._sock.settimeout(self._deadline.bound(timeout))
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        unsent = memoryview(buffer)
        try:
            while unsent:
                self._sock.settimeout(self._deadline.bound(timeout))
                unsent = unsent[self._sock.send(unsent) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            # CPython holds a whole handshake, and each recv and send over TLS, to the one time-out.
            self._sock.settimeout(self._deadline.bound(timeout))
            sock = ssl_context.wrap_socket(self._sock, server_hostname=self._server_name)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            self.close()
            raise TlsFailed(untrusted=isinstance(error, ssl.SSLCertVerificationError)) from error
        return DeadlineStream(sock, self._deadline, self._server_name)

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """Only what httpcore asks for: nothing is readable on a connection that is never used again."""
        if info == "ssl_object" and isinstance(self._sock, ssl.SSLSocket):
            return self._sock
        return None


class PinnedBackend(httpcore.NetworkBackend):
    """Connects to one of ``addresses``, in their order, and ignores the name: nothing resolves it again."""

    def __init__(
        self, addresses: Sequence[IPAddress], deadline: Deadline, connect_timeout: float, server_name: str
    ) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._server_name = server_name

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: OSError = OSError("no address to connect to")
        for address in self._addresses:
            try:
                sock = self._dial(address, port)
            except OSError as error:
                failure = error
            else:
                return DeadlineStream(sock, self._deadline, self._server_name)
        if isinstance(failure, TimeoutError):
            raise httpcore.ConnectTimeout(str(failure)) from failure
        raise httpcore.ConnectError(str(failure)) from failure

    def _dial(self, address: IPAddress, port: int) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._deadline.bound(self._connect_timeout))
            sock.connect((str(address), port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return sock
