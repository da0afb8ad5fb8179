"""Refusing a body that is still on its way.

A server that answers and closes while bytes arrive makes the system reset the connection, and the client may lose
the answer with it. So the end of an error's answer waits until the client has stopped sending, for a while.
"""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST: Final = 2.0
"""Seconds."""
MOST: Final = 64 * 1024 * 1024
"""Bytes that are read and dropped."""


class LingeringClose:
    """Outside of everything else, so that it sees what was read of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Who waits for "100 Continue" has not begun to send, and asking for the body would invite it.
        names = {name for name, _ in scope.get("headers", ())}
        has_body = b"content-length" in names or b"transfer-encoding" in names
        if scope["type"] != "http" or not has_body or b"expect" in names:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        await self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._body_ended = False
        self._refused = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._body_ended = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._refused = message["status"] >= 400
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not last or not self._refused or self._body_ended:
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._drop_the_rest()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop_the_rest(self) -> None:
        dropped = 0
        try:
            async with asyncio.timeout(LONGEST):
                while not self._body_ended and dropped < MOST:
                    dropped += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
