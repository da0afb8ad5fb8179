"""What the demonstration's stack talks to on this machine: a place with pictures, and a webhook receiver."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass
class Received:
    """Webhooks by job id, each verified with the ``standardwebhooks`` package before it counts."""

    verified: dict[str, str] = field(default_factory=dict)
    refused: int = 0


class Loopback:
    """Serves ``pictures`` by name at ``/<name>`` and takes webhooks at ``/hook``, on a free port of 127.0.0.1."""

    def __init__(self, pictures: list[Path]) -> None:
        self._pictures = {str(index): path for index, path in enumerate(pictures)}
        self._secret = ""
        self.received = Received()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="loopback", daemon=True).start()

    def expect_signatures_of(self, secret: str) -> None:
        """``secret`` is the stack's ``whsec_…``."""
        self._secret = secret

    def picture_url(self, index: int) -> str:
        return f"{self._base}/{index}"

    @property
    def hook_url(self) -> str:
        return f"{self._base}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, body: bytes, headers: dict[str, str]) -> int:
        # Of the extra `local`: the command itself also runs where only migrate and keys are wanted.
        from standardwebhooks import Webhook, WebhookVerificationError

        try:
            event = Webhook(self._secret).verify(body, headers)
        except WebhookVerificationError:
            self.received.refused += 1
            return 400
        self.received.verified[event["data"]["job_id"]] = event["type"]
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                path = outer._pictures.get(unquote(self.path).strip("/"))
                body = path.read_bytes() if path else b""
                self.send_response(200 if path else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(outer._take(body, {name.lower(): value for name, value in self.headers.items()}))
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """The table says it better."""

        return Handler
