"""Bytes of an object as an HTTP answer: ETag, conditional requests, one range."""

from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from pixmill_api.domain.ranges import Range, Unsatisfiable, matches_etag, parse_range
from pixmill_api.errors import NotFound, RangeRefused
from pixmill_shared.storage import ObjectNotFound, ObjectStore


def serve_object(
    request: Request, store: ObjectStore, key: str, *, media_type: str, name: str, etag: str, max_age: int
) -> Response:
    """200, 206 or 304. ``max_age`` in seconds. Raises NotFound, RangeRefused, StorageUnavailable.

    An object never changes under its key, so the answer may be kept as long as the right to see it lasts.
    """
    try:
        size = store.head(key).size
    except ObjectNotFound:
        raise NotFound("The file is gone.") from None
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={max_age}, immutable",
        "Content-Disposition": content_disposition(name),
        # Whatever the bytes are, the browser shows them as a picture or not at all.
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    if matches_etag(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    part = _range(request, size, etag)
    start, end = part or Range(0, size)
    headers |= {"Content-Type": media_type, "Content-Length": str(end - start)}
    status = 200
    if part:
        status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(store.stream(key, start, end), status, headers)


def content_disposition(name: str) -> str:
    """``inline`` with a file name in ASCII, or encoded (RFC 6266)."""
    plain = "".join(char for char in name if char.isascii() and (char.isalnum() or char in "._- "))
    encoded: Any = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'inline; filename="{plain or "file"}"{encoded}'


def _range(request: Request, size: int, etag: str) -> Range | None:
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    try:
        return parse_range(request.headers.get("range"), size)
    except Unsatisfiable:
        raise RangeRefused(size) from None
