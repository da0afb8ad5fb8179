"""WebSockets: what the event stream of a job says, as JSON frames."""

import contextlib
from contextlib import closing
from typing import Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from pixmill_api import errors
from pixmill_api.progress.event import Event
from pixmill_api.progress.opening import Opened, hub_of, last_event_id_of, open_job, project_of, settings_of
from pixmill_api.progress.serving import serve
from pixmill_api.progress.sse import departure
from pixmill_api.routes import BASE
from pixmill_shared.database.engine import DatabaseUnavailable

router = APIRouter()

DONE: Final = 1000
COME_AGAIN: Final = 1012
TRY_LATER: Final = 1013
_CODES: Final[dict[type[errors.RequestError], int]] = {
    errors.NotAuthenticated: 4401,
    errors.ScopeMissing: 4403,
    errors.NotFound: 4404,
    errors.RateLimited: 4429,
}
_LONGEST_REASON: Final = 120
"""A close frame has room for 123 bytes."""


@router.websocket(f"{BASE}/ws/jobs/{{job_id}}")
async def watch_job(socket: WebSocket, job_id: str) -> None:
    """The handshake always succeeds: a browser shows a page the code of a close frame, but no HTTP status."""
    await socket.accept()
    try:
        project = await project_of(socket, "jobs", job_id)
        opened = await open_job(hub_of(socket), project, job_id, last_event_id_of(socket))
    except errors.RequestError as error:
        await _close(socket, _CODES.get(type(error), TRY_LATER), error.detail)
        return
    except DatabaseUnavailable:
        await _close(socket, TRY_LATER, "The database does not answer.")
        return
    with closing(opened.held):
        await _serve(socket, opened)


async def _serve(socket: WebSocket, opened: Opened) -> None:
    async with departure(socket.receive, opened.viewer) as gone:
        try:
            over = await serve(opened.stream, opened.viewer, gone, _Frames(socket), hub_of(socket), settings_of(socket))
        except (WebSocketDisconnect, TimeoutError):
            return
        if not gone.done():
            await _close(socket, DONE if over else COME_AGAIN)


class _Frames:
    """Pings are the server's: it sends them as often, and closes what does not answer."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, events: list[Event]) -> None:
        for event in events:
            await self._socket.send_text(event.frame())

    async def ping(self) -> None:
        return


async def _close(socket: WebSocket, code: int, reason: str = "") -> None:
    # The client may have closed first.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code, reason[:_LONGEST_REASON])
