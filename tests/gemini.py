"""A server on loopback that speaks the Gemini API's generateContent, and misbehaves as told.

What it does is scripted for prompts: ``server.script("Ramen", busy(2), picture())`` answers the first request whose
prompt has "Ramen" in it with 429 and the next ones with pictures. What is not scripted is given a picture.
"""

import base64
import itertools
import json
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from pixmill_imaging.testing.pictures import encoded, photo

KEY: Final = "AIza-the-key-of-these-tests"
_PIXELS: Final = 48


@dataclass
class Asked:
    """One request. ``at`` and ``answered_at`` are seconds of the monotonic clock; the latter is None while it hangs."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    answered_at: float | None = None

    @property
    def prompt(self) -> str:
        return str(self.body["contents"][0]["parts"][0]["text"])


@dataclass
class Exchange:
    """What a behaviour works with: ``number`` counts requests from 0."""

    handler: BaseHTTPRequestHandler
    number: int
    stopping: threading.Event
    finished: Callable[[], None]

    def wait(self, seconds: float) -> None:
        """So long, or until the client is gone, as one that was killed or lost its patience is."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopping.is_set():
            if select.select([self.handler.connection], [], [], min(left, 0.05))[0]:
                return

    def head(self, status: int, length: int, **headers: str) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", "application/json; charset=UTF-8")
        self.handler.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        # Before the last byte is out: whoever has read it may ask again at once.
        self.finished()
        self.head(status, len(body), **headers)
        self.send(body)


Behaviour = Callable[[Exchange], None]


@dataclass
class FakeGemini:
    """The running server. Everything that it was asked is in ``requests``, in the order of arrival.

    A request that ends early, as that of a worker that is killed meanwhile, is none.
    """

    url: str
    requests: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _scripts: dict[str, list[Behaviour]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def script(self, part: str, *behaviours: Behaviour) -> None:
        """For prompts with ``part`` in them ("" is in all): the behaviours in turn, the last one for ever.

        Of several scripts that fit, that of the longest part is played; the same part again replaces a script.
        """
        with self._lock:
            self._scripts[part] = list(behaviours)

    def asked(self, part: str = "") -> list[Asked]:
        """The requests whose prompt has ``part`` in it."""
        return [request for request in list(self.requests) if part in request.prompt]

    def variables(self) -> dict[str, str]:
        """What a process needs to take this for the provider."""
        return {"GEMINI_BASE_URL": self.url, "GEMINI_API_KEY": KEY, "PIXMILL_EGRESS_ALLOW": "127.0.0.1"}

    def forget(self) -> None:
        """All requests and scripts."""
        with self._lock:
            self.requests.clear()
            self._scripts.clear()
            self.most_at_once = self._at_once

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        # A client that is killed between the head and the body of its request has asked for nothing yet.
        length = int(handler.headers.get("Content-Length") or 0)
        sent = handler.rfile.read(length)
        if not length or len(sent) < length:
            return
        body = json.loads(sent)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(time.monotonic(), handler.command, handler.path, headers, body)
        exchange, behaviour = self._begun(asked, handler)
        try:
            behaviour(exchange)
        finally:
            exchange.finished()

    def _begun(self, asked: Asked, handler: BaseHTTPRequestHandler) -> tuple[Exchange, Behaviour]:
        with self._lock:
            number = len(self.requests)
            self.requests.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fitting = [part for part in self._scripts if part in asked.prompt]
            script = self._scripts[max(fitting, key=len)] if fitting else [picture()]
            behaviour = script.pop(0) if len(script) > 1 else script[0]

        def finished() -> None:
            with self._lock:
                if asked.answered_at is None:
                    asked.answered_at = time.monotonic()
                    self._at_once -= 1

        return Exchange(handler, number, self._stopping, finished), behaviour

    def stop(self) -> None:
        self._stopping.set()


@contextmanager
def running_gemini() -> Iterator[FakeGemini]:
    """Started and stopped around the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.gemini = FakeGemini(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.gemini
    finally:
        server.gemini.stop()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128
    gemini: FakeGemini

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client went away, as many tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        self.close_connection = True
        self.server.gemini.serve(self)

    def log_message(self, *arguments: object) -> None:
        """Nothing: tests look at ``requests``."""


def picture(
    *, after: float = 0.0, data: bytes | None = None, media_type: str = "image/png", thought: bytes | None = None
) -> Behaviour:
    """A small PNG, another one each time, or ``data``, after so many seconds; behind the draft ``thought``, if any."""

    def behave(exchange: Exchange) -> None:
        exchange.wait(after)
        drawn = encoded(photo(_PIXELS, _PIXELS, seed=exchange.number), "PNG") if data is None else data
        drafts = [{"inlineData": _inline("image/png", thought), "thought": True}] if thought is not None else []
        parts = [*drafts, {"inlineData": _inline(media_type, drawn)}]
        exchange.answer(200, candidates(parts))

    return behave


def busy(retry_after: float | str | None = None, *, retry_info: str | None = None) -> Behaviour:
    """429, with the header Retry-After or with RetryInfo (like ``"0.5s"``) in the error's details."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_info}] if retry_info else []
    headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
    message = "You exceeded your current quota."
    return error(429, "RESOURCE_EXHAUSTED", message, details, **headers)


def broken(status: int = 503) -> Behaviour:
    return error(status, "UNAVAILABLE", "The model is overloaded. Please try again later.")


def error(
    status: int, name: str, message: str, details: list[dict[str, Any]] | None = None, **headers: str
) -> Behaviour:
    """An error as Google's APIs write it."""
    told = {"code": status, "message": message, "status": name, **({"details": details} if details else {})}
    return lambda exchange: exchange.answer(status, json.dumps({"error": told}).encode(), **headers)


def bad_key() -> Behaviour:
    """400, as for a key that does not exist; with the key in it, as some details have it."""
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    message = f"API key not valid: {KEY}. Please pass a valid API key."
    return error(400, "INVALID_ARGUMENT", message, [reason])


def blocked(reason: str = "PROHIBITED_CONTENT") -> Behaviour:
    """The prompt itself was refused."""
    return lambda exchange: exchange.answer(200, json.dumps({"promptFeedback": {"blockReason": reason}}).encode())


def refused(reason: str = "IMAGE_SAFETY", words: str = "") -> Behaviour:
    """The model drew nothing, for ``reason``, perhaps with words."""
    parts = [{"text": words}] if words else []
    return lambda exchange: exchange.answer(200, candidates(parts, reason))


def words(text: str = "I cannot draw that, but here is a haiku.") -> Behaviour:
    """Text instead of a picture."""
    return lambda exchange: exchange.answer(200, candidates([{"text": text}]))


def garbage(body: bytes = b'{"candidates": [{"content"') -> Behaviour:
    """200 with what is no answer of the API."""
    return lambda exchange: exchange.answer(200, body)


def broken_base64() -> Behaviour:
    parts = [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo=!*not base64"}}]
    return lambda exchange: exchange.answer(200, candidates(parts))


def not_a_picture() -> Behaviour:
    return picture(data=b"<html>This is no picture.</html>")


def huge(size: int = 50_000_000) -> Behaviour:
    """A picture of so many bytes, which nobody has to have in memory."""

    def behave(exchange: Exchange) -> None:
        head, _, tail = candidates([{"inlineData": {"mimeType": "image/png", "data": "|"}}]).partition(b"|")
        block = b"A" * 65_536
        blocks = size * 4 // 3 // len(block) + 1
        exchange.head(200, len(head) + blocks * len(block) + len(tail))
        exchange.send(head)
        for _ in itertools.takewhile(lambda _: not exchange.stopping.is_set(), range(blocks)):
            exchange.send(block)
        exchange.send(tail)

    return behave


def hang(seconds: float = 60.0) -> Behaviour:
    """Nothing for so long, then the end of the connection."""
    return lambda exchange: exchange.wait(seconds)


def held(released: threading.Event) -> Behaviour:
    """Nothing until then, whether the client is still there or not, and the end of the connection."""

    def behave(exchange: Exchange) -> None:
        while not (released.wait(0.05) or exchange.stopping.is_set()):
            continue

    return behave


def drip(seconds: float = 60.0) -> Behaviour:
    """A byte every 50 ms, which no time-out per read would ever end."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, 1_000_000)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not exchange.stopping.wait(0.05):
            exchange.send(b" ")

    return behave


def hang_up() -> Behaviour:
    """Half of an answer."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, 1_000)
        exchange.send(b'{"candidates"')

    return behave


def candidates(parts: list[dict[str, Any]], reason: str = "STOP") -> bytes:
    """An answer with one candidate."""
    content = {"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": 0}
    return json.dumps({"candidates": [content], "modelVersion": "fake"}).encode()


def _inline(media_type: str, data: bytes) -> dict[str, str]:
    return {"mimeType": media_type, "data": base64.b64encode(data).decode()}
