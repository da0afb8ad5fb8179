"""Reading request bodies: bounded while they come in, whatever Content-Length says."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request

from pixmill_api.domain.documents import read_document
from pixmill_api.domain.media_types import JSON, essence
from pixmill_api.errors import BodyStalled, BodyTooLarge, MalformedBody, MediaTypeRefused

Read = TypeVar("Read")


async def limited(request: Request, limit: int, idle: float | None = None) -> AsyncGenerator[bytes, None]:
    """The chunks of the body. Raises BodyTooLarge, at once if the request announces too much, and BodyStalled if
    nothing comes for ``idle`` seconds.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge("The body", limit)
    received = 0
    async with aclosing(request.stream()) as stream:
        async for chunk in _timed(stream, idle):
            received += len(chunk)
            if received > limit:
                raise BodyTooLarge("The body", limit)
            if chunk:
                yield chunk


async def _timed(stream: AsyncIterator[bytes], idle: float | None) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(idle):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise BodyStalled(f"No byte of the body came for {idle:g} s.") from None
        if chunk is None:
            return
        yield chunk


async def read_json(request: Request, limit: int) -> Any:
    """Raises MediaTypeRefused, BodyTooLarge or MalformedBody, and BodyStalled if the whole of it takes longer than
    PIXMILL_REQUEST_TIMEOUT.
    """
    content_type = request.headers.get("content-type")
    if essence(content_type) != JSON:
        raise MediaTypeRefused(f"Send JSON with Content-Type: {JSON}.")
    body = await in_time(request, _whole(request, limit))
    try:
        return read_document(body)
    except ValueError as error:
        raise MalformedBody(str(error)) from None


async def _whole(request: Request, limit: int) -> bytes:
    async with aclosing(limited(request, limit)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def in_time(request: Request, reading: Awaitable[Read]) -> Read:
    """What ``reading`` a small body gives. Raises BodyStalled after PIXMILL_REQUEST_TIMEOUT: a body that drips never
    trips a limit for a single read."""
    seconds: float = request.app.state.context.settings.request_timeout
    try:
        async with asyncio.timeout(seconds):
            return await reading
    except TimeoutError:
        raise BodyStalled(f"The body was not there after {seconds:g} s.") from None


async def read_optional_json(request: Request, limit: int) -> Any:
    """As ``read_json``, and an empty object where there is no body."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return {}
    return await read_json(request, limit)
