"""Signed URLs for files that the API serves itself."""

import datetime
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from urllib.parse import urlencode


class FileUrlSigner:
    """HMAC-SHA256 over everything that the URL says. The first key signs, all keys verify.

    ``keys`` may be a function: a process that decodes hostile bytes has a store, but signs nothing and has no key.
    """

    def __init__(self, keys: Sequence[str] | Callable[[], Sequence[str]]) -> None:
        self._given = keys

    @cached_property
    def _keys(self) -> list[bytes]:
        keys = self._given() if callable(self._given) else self._given
        return [hashlib.sha256(b"pixmill file urls\0" + key.encode()).digest() for key in keys]

    def query(self, key: str, expires_at: datetime.datetime, media_type: str, filename: str) -> str:
        """The query string of a URL for ``key``."""
        fields = {"expires": str(int(expires_at.timestamp())), "type": media_type, "name": filename}
        return urlencode({**fields, "signature": _sign(self._keys[0], key, fields)})

    def verify(self, key: str, query: Mapping[str, str], now: datetime.datetime) -> bool:
        """Whether the query was made by ``query()`` for this key and has not expired. Garbage is False."""
        fields = {name: query.get(name, "") for name in ("expires", "type", "name")}
        given = query.get("signature", "").encode(errors="replace")
        genuine = [hmac.compare_digest(_sign(k, key, fields).encode(), given) for k in self._keys]
        # Only what was signed is read as a number, so it is one.
        return any(genuine) and int(fields["expires"]) > now.timestamp()


def _sign(secret: bytes, key: str, fields: Mapping[str, str]) -> str:
    # JSON, since no field can then be moved into its neighbour, and since it writes any text, however odd, in ASCII.
    message = json.dumps([key, fields["expires"], fields["type"], fields["name"]])
    return hmac.new(secret, message.encode("ascii"), hashlib.sha256).hexdigest()
