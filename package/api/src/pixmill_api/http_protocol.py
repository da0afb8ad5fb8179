"""HTTP/1.1 as uvicorn reads it with httptools, with what that leaves out: bounds for the head of a request, in bytes
and in seconds, and problem documents for what is no HTTP."""

import asyncio
import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from pixmill_api import problems
from pixmill_shared.domain.ids import new_id

MOST_HEAD_BYTES: Final = 65_536
"""Of the request line and all headers together: what servers usually take, and far more than clients send."""

LINGER_SECONDS: Final = 2.0
"""In which what still comes after a refusal is dropped: the system would drop the answer with it otherwise."""

_TOO_LARGE: Final = f"Request line and headers may have {MOST_HEAD_BYTES} bytes together."


class HttpProtocol(HttpToolsProtocol):
    """Of one connection. httptools itself would hold a header of any length, and wait for its end for ever.

    A head must have come as a whole ``head_seconds`` after the connection was made, or after its first byte.
    """

    def __init__(self, *arguments: Any, head_seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_seconds = head_seconds
        self._in_head = True
        self._head_bytes = 0
        """Received while the head is not whole."""
        self._head_size = 0
        """Of what the parser has taken out of it: a head that came in one piece has its size only there."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._refusal: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(problems.HEAD_TOO_LARGE, _TOO_LARGE)
            elif self._head_bytes and self._head_timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MOST_HEAD_BYTES:
            raise ValueError  # which makes the parser give up, and uvicorn call send_400_response

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._head_came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._say_refusal()

    def send_400_response(self, msg: str) -> None:
        """Of uvicorn, for what its parser does not take."""
        if self._head_size > MOST_HEAD_BYTES:
            self._refuse(problems.HEAD_TOO_LARGE, _TOO_LARGE)
        else:
            self._refuse(problems.NO_HTTP, "What was sent cannot be read as a request of HTTP/1.1.")

    def _refuse(self, kind: problems.Kind, detail: str) -> None:
        """After the answers to requests that came whole before it; at once, if one was still to come whole."""
        self._refusal = _answer(kind, detail)
        running = self.cycle is not None and not self.cycle.response_complete
        if running and not self.cycle.more_body:
            return
        if running and self.cycle.response_started:
            self.transport.close()  # in the middle of an answer nothing else can be said
        else:
            self._say_refusal()

    def _say_refusal(self) -> None:
        if self._refusal is not None and not self.transport.is_closing():
            self.transport.write(self._refusal)
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._head_seconds, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            self._refuse(problems.HEAD_STALLED, f"Send the head of a request in {self._head_seconds:g} seconds.")
        else:
            self.transport.close()


def _answer(kind: problems.Kind, detail: str) -> bytes:
    request_id = str(new_id())
    body = json.dumps(problems.document(kind, detail, instance="", request_id=request_id)).encode()
    head = (
        f"content-type: {problems.MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
        "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[kind.status] + head.encode() + body
