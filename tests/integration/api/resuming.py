"""A client of tus in a few lines, and one that breaks off."""

import base64
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from tests.integration.api.running import Api

VERSION = {"Tus-Resumable": "1.0.0"}
STREAM = {**VERSION, "Content-Type": "application/offset+octet-stream"}
BASE = "/api/v1/uploads/tus"


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def metadata(**values: str) -> dict[str, str]:
    return {"Upload-Metadata": ",".join(f"{key} {encoded(value)}" for key, value in values.items())}


def checksum(algorithm: str, data: bytes) -> dict[str, str]:
    return {"Upload-Checksum": f"{algorithm} {encoded(hashlib.new(algorithm, data).digest())}"}


@dataclass
class Tus:
    """One upload."""

    api: Api
    url: str

    @property
    def id(self) -> str:
        return self.url.rpartition("/")[2]

    def head(self, **headers: str) -> httpx.Response:
        return self.api.client.head(self.url, headers={**VERSION, **headers})

    def offset(self) -> int:
        answer = self.head()
        assert answer.status_code == 200, answer.headers
        return int(answer.headers["Upload-Offset"])

    def patch(self, offset: int, content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        given = {**STREAM, "Upload-Offset": str(offset), **(headers or {})}
        return self.api.client.patch(self.url, content=content, headers=given)

    def stored(self) -> tuple[Any, ...] | None:
        """sha256, bytes and media type of the row of the upload, and its key."""
        rows = self.api.query("SELECT sha256, bytes, media_type, key FROM uploads WHERE id = %s", self.id)
        return rows[0] if rows else None

    def content(self) -> bytes:
        """Of the object of the finished upload."""
        row = self.stored()
        assert row is not None
        return (self.api.storage / row[3]).read_bytes()

    def parts(self) -> list[tuple[int, int, str]]:
        return self.api.query(  # type: ignore[return-value]
            "SELECT start, bytes, key FROM upload_parts WHERE upload_id = %s ORDER BY start", self.id
        )


def begin(api: Api, length: int, headers: dict[str, str] | None = None) -> Tus:
    given = {**VERSION, "Upload-Length": str(length), **metadata(filetype="image/png"), **(headers or {})}
    answer = api.client.post(BASE, headers=given)
    assert answer.status_code == 201, answer.text
    return Tus(api, answer.headers["Location"])


@contextmanager
def open_patch(upload: Tus, offset: int, length: int) -> Iterator[socket.socket]:
    """A PATCH that announces ``length`` bytes and has sent none yet."""
    parts = urlsplit(upload.url)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        head = f"PATCH {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpload-Offset: {offset}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in STREAM.items())
        connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        yield connection
