"""Around every request: its id, its log line and its metrics; and, closer to the app, the last resort for errors."""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixmill_api import metrics, problems
from pixmill_api.auth import Caller
from pixmill_shared.domain.ids import new_id
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

REQUEST_ID: Final = "X-Request-ID"
_SANE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
CLIENT_GONE: Final = 499
"""The status of what nobody waited for."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def request_id_of(given: str | None) -> str:
    """The client's own id if it is sane, else a new one: it goes into logs, rows and headers."""
    return given if given and _SANE.fullmatch(given) else str(new_id())


class RequestContext:
    """Plain ASGI, so that streams stay streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = request_id_of(request.headers.get(REQUEST_ID))
        request.state.request_id = request_id
        request.state.answer_headers = {REQUEST_ID: request_id, "X-Content-Type-Options": "nosniff"}
        traffic = _Traffic(receive, send, request.state.answer_headers)
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, traffic.receive, traffic.send)
            finally:
                _record(request, traffic, time.perf_counter() - started)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        request_id = request_id_of(connection.headers.get(REQUEST_ID))
        connection.state.request_id = request_id
        started = time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "websocket.accept":
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID.encode(), request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception:  # the boundary of the process; the server closes the connection with 1011
                log.exception("socket failed", path=connection.url.path)
                raise
            finally:
                ms = round((time.perf_counter() - started) * 1000, 1)
                log.info("socket closed", path=connection.url.path, ms=ms)


class LastResort:
    """Inside of what adds to answers: an error that nobody expected is one that a page may read too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:  # the boundary of the process: whatever a handler raises, the client gets a problem
            request = Request(scope)
            log.exception("request failed", method=request.method, path=request.url.path)
            if begun:
                raise  # half an answer is out; the server breaks the connection
            await problems.internal_error(request)(scope, receive, send)


class _Traffic:
    """Of one request: adds ``headers`` to its answer, to which whoever handles it may add, counts bytes of bodies, and
    remembers the status."""

    def __init__(self, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self.status = 0
        self.bytes_in = self.bytes_out = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers[name] = value
        await self._send(message)
        self.bytes_out += len(message.get("body", b""))


def _record(request: Request, traffic: _Traffic, seconds: float) -> None:
    route: Any = request.scope.get("route")
    template = getattr(route, "path", None) or "unmatched"
    method = request.method if request.method in _METHODS else "other"
    status = traffic.status or CLIENT_GONE
    metrics.REQUESTS.labels(method, template, str(status)).inc()
    metrics.SECONDS.labels(method, template).observe(seconds)
    if not template.startswith(("/health", "/metrics")):
        caller: Caller | None = getattr(request.state, "caller", None)
        log.info(
            "request",
            method=method,
            route=template,
            # Without the query: it may hold a signature.
            path=request.url.path,
            status=status,
            ms=round(seconds * 1000, 1),
            bytes_in=traffic.bytes_in,
            bytes_out=traffic.bytes_out,
            project=caller and caller.project,
            key=caller and caller.name,
        )
