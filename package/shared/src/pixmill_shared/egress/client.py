"""What services use: download a source, post a webhook. One client per process, shared by its threads."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.errors import (
    EncodedResponse,
    InsecureRedirect,
    ResponseTooLarge,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    SourceUnreachable,
    TooManyRedirects,
)
from pixmill_shared.egress.guard import Guard
from pixmill_shared.egress.resolver import Resolver, system_resolver
from pixmill_shared.egress.retry_after import parse_retry_after
from pixmill_shared.egress.transport import Response, Transport
from pixmill_shared.egress.urls import join_url, parse_url
from pixmill_shared.settings.egress import EgressSettings

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TRANSIENT = frozenset((408, 425, 429))
_AGENT = "pixmill"


@dataclass(frozen=True)
class Download:
    """A 2xx answer with its body unread. ``url`` is where the redirects ended; it may hold secrets."""

    url: str
    content_type: str | None
    content_length: int | None
    chunks: Iterator[bytes]
    #: What a conditional request for it may name.
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class PostResult:
    """``status`` is any HTTP status; ``excerpt`` the start of the body; ``retry_after`` is in seconds."""

    status: int
    excerpt: str
    duration_ms: int
    retry_after: float | None


@dataclass(frozen=True)
class CallResult:
    """``status`` is any HTTP status; ``body`` all that came with it; ``retry_after`` is in seconds."""

    status: int
    body: bytes
    retry_after: float | None


class EgressClient:
    """Guarded by ``settings``; holds no connection and no state, so any number of threads may use it."""

    def __init__(self, settings: EgressSettings, resolver: Resolver | None = None) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        self._max_redirects = settings.max_redirects
        self._transport = Transport(
            Guard(settings.allow_list(), resolver or system_resolver, proxied=bool(settings.proxy)),
            context,
            settings.connect_timeout,
            httpx.URL(settings.proxy) if settings.proxy else None,
        )

    @contextmanager
    def download(
        self, url: str, *, max_bytes: int, deadline: float, headers: Mapping[str, str] | None = None
    ) -> Iterator[Download]:
        """GET ``url`` and follow redirects, each checked like the first; ``chunks`` reads the body.

        ``deadline`` is in seconds and covers everything up to the end of the ``with`` block, the time that
        the caller takes between two chunks included. ``headers`` go to the origin of ``url`` only, never
        along a redirect to another one.

        Raises, here or from ``chunks``, any error of ``egress.errors``; ResponseTooLarge as soon as more than
        ``max_bytes`` are announced or have come.
        """
        until = Deadline(deadline)
        target = parse_url(url)
        origin = _origin(target)
        for _ in range(self._max_redirects + 1):
            own = headers if headers and _origin(target) == origin else {}
            with self._transport.exchange("GET", target, until, {"User-Agent": _AGENT, **own}) as response:
                location = response.headers.get("location")
                if response.status not in _REDIRECTS or location is None:
                    yield _accepted(target, response, max_bytes)
                    return
            target = _next_hop(target, location)
        raise TooManyRedirects(target.host, self._max_redirects)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, deadline: float, excerpt_bytes: int = 2048
    ) -> PostResult:
        """POST ``body``; every status is a result, redirects too, which are not followed.

        ``deadline`` is in seconds. Once the status is there, a body that stalls or breaks only shortens the
        excerpt: the receiver has answered, and asking again would deliver twice.

        Raises ForbiddenAddress, InvalidUrl, SourceUnreachable or SourceTimeout where there was no answer.
        """
        started = time.monotonic()
        until = Deadline(deadline)
        with self._transport.exchange(
            "POST", parse_url(url), until, {"User-Agent": _AGENT, **headers}, body
        ) as response:
            duration_ms = round((time.monotonic() - started) * 1000)
            return PostResult(response.status, excerpt_of(response, excerpt_bytes), duration_ms, _retry_after(response))

    def call(self, url: str, body: bytes, headers: Mapping[str, str], *, max_bytes: int, deadline: float) -> CallResult:
        """POST ``body`` to an API and read its whole answer; every status is a result, redirects too, which are not
        followed.

        ``deadline`` is in seconds and covers everything up to the last byte of the answer.

        Raises any error of ``egress.errors`` but those of redirects and statuses; ResponseTooLarge as soon as more
        than ``max_bytes`` are announced or have come. Of an error (status 400 and above) whose body cannot be had for
        that, or for being encoded, the status is told with no body.
        """
        target = parse_url(url)
        with self._transport.exchange(
            "POST", target, Deadline(deadline), {"User-Agent": _AGENT, **headers}, body
        ) as response:
            try:
                _check_framing(target, response, max_bytes)
                received = b"".join(_counted(response.body, target.host, max_bytes))
            except (EncodedResponse, ResponseTooLarge):
                if response.status < 400:
                    raise
                received = b""
            return CallResult(response.status, received, _retry_after(response))


def _next_hop(current: httpx.URL, location: str) -> httpx.URL:
    """Downgrades are refused: the sender asked for a picture that nobody on the way can swap or read."""
    target = join_url(current, location)
    if current.scheme == "https" and target.scheme == "http":
        raise InsecureRedirect(current.host)
    return target


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _accepted(url: httpx.URL, response: Response, max_bytes: int) -> Download:
    """The status and the headers, judged before a byte of the body is read."""
    if response.status in _TRANSIENT or response.status >= 500:
        raise SourceUnavailable(url.host, response.status, _retry_after(response))
    if response.status == 407:
        raise SourceUnreachable(f"The proxy wants a login before it connects to {url.host}.")
    if not 200 <= response.status < 300:
        raise SourceNotFound(url.host, response.status)
    announced = _check_framing(url, response, max_bytes)
    chunks = _counted(response.body, url.host, max_bytes)
    headers = response.headers
    kept = headers.get("etag"), headers.get("last-modified")
    return Download(str(url), headers.get("content-type"), announced, chunks, *kept)


def _check_framing(url: httpx.URL, response: Response, max_bytes: int) -> int | None:
    """How many bytes are announced, if anybody did; an error if they are too many, or compressed."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise EncodedResponse(url.host)
    length = response.headers.get("content-length")
    announced = int(length) if length is not None else None
    if announced is not None and announced > max_bytes:
        raise ResponseTooLarge(url.host, max_bytes)
    return announced


def _counted(chunks: Iterator[bytes], host: str, max_bytes: int) -> Iterator[bytes]:
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise ResponseTooLarge(host, max_bytes)
        yield chunk


def excerpt_of(response: Response, limit: int) -> str:
    """The first ``limit`` bytes of the body; what came of them, where it stalls or breaks."""
    collected = b""
    try:
        while len(collected) < limit and (chunk := next(response.body, b"")):
            collected += chunk
    except (SourceUnreachable, SourceTimeout):
        pass  # see EgressClient.post: the status counts
    # Postgres takes no NUL in text.
    return collected[:limit].decode("utf-8", errors="replace").replace("\0", "\ufffd")


def _retry_after(response: Response) -> float | None:
    return parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
