"""One guarded HTTP/1.1 exchange: check, connect to what was checked, send, receive. No redirects, no retries.

Every exchange has a connection of its own. A pool would hand a connection that was checked for one job,
under one deadline, to another one; opening costs a round trip (two with TLS), little beside a picture. The
environment's proxies, certificates and .netrc are never read (this is httpcore; there is no ``trust_env`` to
forget).

Through a proxy (PIXMILL_EGRESS_PROXY) the name is resolved and checked here as well. For https the proxy is
then asked for the checked address (CONNECT 93.184.216.34:443), while TLS, SNI and Host keep the name: still
pinned. For http the proxy gets the URL with its name and resolves it a second time: there the pin ends, and
the proxy's own rules must keep it off internal networks. A host on the allow-list is left to the proxy by
name, unresolved.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote

import httpcore
import httpx

from pixmill_shared.domain.addresses import literal_address
from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.errors import AnswerBroken, AnswerTimeout, InvalidUrl, SourceTimeout, SourceUnreachable
from pixmill_shared.egress.guard import Destination, Guard
from pixmill_shared.egress.resolver import resolve, system_resolver
from pixmill_shared.egress.stream import PinnedBackend, TlsFailed

# What frames the message, or belongs to the connection, is ours to say: a caller's headers may come from a
# user.
_OURS = frozenset(
    (
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "trailer",
        "upgrade",
    )
)


@dataclass(frozen=True)
class Response:
    """``body`` yields bytes as they come, at most 64 KiB each; its errors are those of the exchange."""

    status: int
    headers: httpx.Headers
    body: Iterator[bytes]


@dataclass(frozen=True)
class Transport:
    """Immutable, so threads share it. ``proxy`` is ``http://[user:password@]host:port`` or None."""

    guard: Guard
    ssl_context: ssl.SSLContext
    connect_timeout: float
    proxy: httpx.URL | None = None

    @contextmanager
    def exchange(
        self,
        method: str,
        url: httpx.URL,
        deadline: Deadline,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Iterator[Response]:
        """``url`` comes from ``parse_url``. The connection is closed at the end, read to the end or not.

        Raises ForbiddenAddress (no socket was opened), SourceTimeout, SourceUnreachable; InvalidUrl for
        headers that are not HTTP.
        """
        destination = self.guard.check(url, deadline)
        request = httpcore.Request(
            method,
            self._request_url(url, destination),
            headers=_header_list(url, headers, body),
            content=body,
        )
        with self._pool(destination, deadline) as pool:
            with _translated(url.host, deadline):
                response = pool.handle_request(request)
            try:
                yield Response(response.status, httpx.Headers(response.headers), _chunks(response, url.host, deadline))
            finally:
                response.close()

    def _request_url(self, url: httpx.URL, destination: Destination) -> httpcore.URL:
        host = url.raw_host
        if self.proxy is not None:
            # httpcore writes the host into CONNECT and into absolute URLs as it stands: brackets are for us
            # to add.
            if url.scheme == "https" and destination.addresses:
                host = str(destination.addresses[0]).encode("ascii")
            host = b"[%b]" % host if b":" in host else host
        return httpcore.URL(scheme=url.raw_scheme, host=host, port=url.port, target=url.raw_path)

    def _pool(self, destination: Destination, deadline: Deadline) -> httpcore.ConnectionPool:
        if self.proxy is None:
            return httpcore.ConnectionPool(
                ssl_context=self.ssl_context,
                max_connections=1,
                network_backend=PinnedBackend(destination.addresses, deadline, self.connect_timeout, destination.host),
            )
        # The operator's own choice of address: resolved by the system, and not judged.
        host, port = self.proxy.host, self.proxy.port or 80
        literal = literal_address(host)
        found = [str(literal)] if literal else resolve(system_resolver, host, port, deadline)
        return httpcore.HTTPProxy(
            httpcore.URL(scheme="http", host=self.proxy.raw_host, port=port, target="/"),
            proxy_auth=(unquote(self.proxy.username), unquote(self.proxy.password)) if self.proxy.userinfo else None,
            ssl_context=self.ssl_context,
            max_connections=1,
            network_backend=PinnedBackend(
                [ip_address(text) for text in found], deadline, self.connect_timeout, destination.host
            ),
        )


def _header_list(url: httpx.URL, headers: Mapping[str, str], body: bytes | None) -> list[tuple[bytes, bytes]]:
    ours = [
        (b"Host", url.netloc),
        (b"Connection", b"close"),
        # A body that nobody compressed cannot grow when it is unpacked.
        (b"Accept-Encoding", b"identity"),
    ]
    if body is not None:
        ours.append((b"Content-Length", str(len(body)).encode("ascii")))
    theirs = [
        (name.encode(errors="replace"), value.encode(errors="replace"))
        for name, value in headers.items()
        if name.lower() not in _OURS and not name.lower().startswith("proxy-")
    ]
    return ours + theirs


def _chunks(response: httpcore.Response, host: str, deadline: Deadline) -> Iterator[bytes]:
    with _translated(host, deadline):
        yield from response.iter_stream()


@contextmanager
def _translated(host: str, deadline: Deadline) -> Iterator[None]:
    """httpcore's errors as ours, in sentences that name the host and nothing else."""
    try:
        yield
    except httpcore.ConnectTimeout:
        raise SourceTimeout(f"{host} did not accept a connection in time.") from None
    except httpcore.TimeoutException:
        raise AnswerTimeout(host, deadline.seconds) from None
    except TlsFailed as error:
        reason = "its certificate is not trusted" if error.untrusted else "the TLS handshake failed"
        raise SourceUnreachable(f"No secure connection to {host}: {reason}.") from None
    except httpcore.ConnectError:
        raise SourceUnreachable(f"{host} does not accept connections.") from None
    except httpcore.ProxyError:
        raise SourceUnreachable(f"The proxy refused the connection to {host}.") from None
    except httpcore.LocalProtocolError:
        raise InvalidUrl(f"The request to {host} has headers that cannot be sent by HTTP.") from None
    except (httpcore.NetworkError, httpcore.RemoteProtocolError):
        raise AnswerBroken(host) from None
