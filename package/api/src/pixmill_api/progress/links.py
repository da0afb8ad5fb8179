"""Signed addresses of streams: a browser's EventSource and WebSocket send no headers, and keys in URLs leak."""

import datetime
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import urlencode

ROUNDED: Final = 300
"""Seconds: within them the address of a stream stays the same, so that two answers about one job do."""


class StreamLinks:
    """HMAC-SHA256 over what the link opens and until when. The first key signs, all verify.

    Whoever has the link may watch that job or batch, and nothing else. ``keys`` is None where streams are open anyway.
    """

    def __init__(self, keys: Callable[[], Sequence[str]] | None, ttl: int) -> None:
        self._given = keys
        self._ttl = ttl

    def unsigned(self) -> "StreamLinks":
        """Makes links that need an API key."""
        return StreamLinks(None, self._ttl)

    @cached_property
    def _keys(self) -> list[bytes]:
        given = self._given() if self._given else ()
        return [hashlib.sha256(b"pixmill stream urls\0" + key.encode()).digest() for key in given]

    def url(self, resource: str) -> str:
        """``resource``: the address of a job or batch; of its events, signed."""
        if self._given is None:
            return f"{resource}/events"
        now = datetime.datetime.now(datetime.UTC).timestamp()
        expires = str((int(now) // ROUNDED + 1) * ROUNDED + self._ttl)
        signature = _sign(self._keys[0], _name(resource), expires)
        return f"{resource}/events?" + urlencode({"expires": expires, "signature": signature})

    def opens(self, resource: str, expires: str, signature: str, now: datetime.datetime) -> bool:
        """Was it signed by ``url()`` for this resource, and is it still time? Garbage is False."""
        given = signature.encode(errors="replace")
        genuine = [hmac.compare_digest(_sign(key, _name(resource), expires).encode(), given) for key in self._keys]
        # Only what was signed is read as a number, so it is one.
        return any(genuine) and int(expires) > now.timestamp()


def _name(resource: str) -> str:
    """``jobs/<id>``: the same however the API is reached."""
    return "/".join(resource.rsplit("/", 2)[-2:])


def _sign(secret: bytes, name: str, expires: str) -> str:
    message = json.dumps([name, expires])
    return hmac.new(secret, message.encode("ascii"), hashlib.sha256).hexdigest()
