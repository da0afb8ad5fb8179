"""A stream while somebody listens, whatever it travels by."""

import asyncio
from typing import Final, Protocol

from pixmill_api.progress.event import RECONNECT, Event
from pixmill_api.progress.hub import Hub
from pixmill_api.progress.streams import Stream
from pixmill_api.progress.topics import Viewer
from pixmill_api.settings import StreamSettings

PATIENCE: Final = 30.0
"""Seconds that a viewer may leave unread what it was sent; then it is let go of, and may come back."""


class Line(Protocol):
    """How events reach a viewer. Each call ends when the viewer can take more."""

    async def send(self, events: list[Event]) -> None: ...

    async def ping(self) -> None: ...


async def serve(
    stream: Stream, viewer: Viewer, gone: asyncio.Future[None], line: Line, hub: Hub, settings: StreamSettings
) -> bool:
    """Until everything was sent, or ``gone`` is done. Was it everything? Raises TimeoutError if nobody reads it."""
    loop = asyncio.get_running_loop()
    until, silent_since = loop.time() + settings.max_age, loop.time()
    while not gone.done():
        now = loop.time()
        events = stream.news(now)
        ends = not stream.over and (hub.closing or now >= until)
        if ends:
            events.append(RECONNECT)
        if events or now - silent_since >= settings.ping:
            silent_since = now
            async with asyncio.timeout(PATIENCE):
                await (line.send(events) if events else line.ping())
        if stream.over or ends:
            return stream.over
        await viewer.wait(max(min(silent_since + settings.ping - now, stream.due_in(now), until - now), 0.001))
    return False
