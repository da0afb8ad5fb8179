"""Server-sent events: an answer that lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pixmill_api.progress.event import Event
from pixmill_api.progress.hub import Hub
from pixmill_api.progress.serving import serve
from pixmill_api.progress.streams import Stream
from pixmill_api.progress.topics import Viewer
from pixmill_api.settings import StreamSettings

MEDIA_TYPE: Final = "text/event-stream"
RETRY: Final = 2_000
"""Milliseconds that a browser waits before it connects anew."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    # nginx would keep events until there are some kilobytes of them.
    "X-Accel-Buffering": "no",
}


class EventStream(Response):
    """``held`` is closed when the stream is over, however it ends; until then the viewer is known to the hub."""

    def __init__(self, stream: Stream, viewer: Viewer, held: ExitStack, hub: Hub, settings: StreamSettings) -> None:
        self._stream = stream
        self._viewer = viewer
        self._held = held
        self._hub = hub
        self._settings = settings
        super().__init__(headers=_HEADERS, media_type=f"{MEDIA_TYPE}; charset=utf-8")
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _put(send, f"retry: {RETRY}\n\n".encode())
            async with departure(receive, self._viewer) as gone:
                try:
                    await serve(self._stream, self._viewer, gone, _Lines(send), self._hub, self._settings)
                except TimeoutError:
                    return  # nobody would read the end either: the server breaks the connection
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Lines:
    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, events: list[Event]) -> None:
        await _put(self._send, b"".join(event.sse() for event in events))

    async def ping(self) -> None:
        await _put(self._send, b": ping\n\n")


@asynccontextmanager
async def departure(receive: Receive, viewer: Viewer) -> AsyncIterator[asyncio.Future[None]]:
    """Done when the client has gone; the viewer is woken then. The body of the request must have been read."""

    async def gone() -> None:
        while not (await receive())["type"].endswith(".disconnect"):
            pass
        viewer.wake()

    task = asyncio.get_running_loop().create_task(gone())
    try:
        yield task
    finally:
        task.cancel()


async def _put(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
