"""What holds for every request and answer of tus, those that no route answers too."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixmill_api.domain.tus import METHODS, VERSION
from pixmill_api.routes import BASE

PREFIX: Final = f"{BASE}/uploads/tus"

EXPOSED: Final = (
    *("Location", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires"),
    *("Tus-Resumable", "Tus-Version", "Tus-Max-Size", "Tus-Extension", "Tus-Checksum-Algorithm"),
)
"""Headers that a page of another origin must be let see, for a client of tus in a browser."""


class TusProtocol:
    """Says which version is spoken, and lets a POST mean the method that X-HTTP-Method-Override names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
            await self._app(scope, receive, send)
            return
        meant = Headers(scope=scope).get("x-http-method-override", "")
        if scope["method"] == "POST" and meant in METHODS:
            scope["method"] = meant

        async def send_versioned(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Tus-Resumable"] = VERSION
            await send(message)

        await self._app(scope, receive, send_versioned)
