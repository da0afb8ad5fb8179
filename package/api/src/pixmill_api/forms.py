"""``multipart/form-data`` as a stream of parts: the one home of python-multipart.

Starlette's own form parser writes files to a temporary directory first; here the chunks of a file go to the storage
as they come.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pixmill_api.errors import BodyTooLarge, MalformedBody

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS: Final = 50


@dataclass
class Part:
    """One field. ``chunks`` must be read before the next part is asked for; what is left over is dropped."""

    name: str
    content_type: str | None
    is_file: bool
    chunks: AsyncIterator[bytes]

    async def text(self, limit: int) -> str:
        """Of a plain field, as UTF-8. Raises BodyTooLarge or MalformedBody."""
        value = bytearray()
        async for chunk in self.chunks:
            value += chunk
            if len(value) > limit:
                raise BodyTooLarge(f"The field {self.name}", limit)
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedBody(f"The field {self.name} is not UTF-8.") from None


@dataclass
class _Headers:
    """Those of one part, as the parser finds them."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)

    def end_one(self) -> None:
        self.values[bytes(self.name).lower()] = bytes(self.value)
        self.name, self.value = bytearray(), bytearray()


_PART_END: Final = object()
_Event = _Headers | bytes | object


class MultipartBody:
    """``async for part in MultipartBody(content_type, chunks)``. Raises MalformedBody."""

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise MalformedBody("The Content-Type of the form has no boundary.")
        self._chunks = chunks
        self._events: list[_Event] = []
        self._headers = _Headers()
        self._ended = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError:
            raise MalformedBody("The boundary of the form is too long.") from None

    async def __aiter__(self) -> AsyncIterator[Part]:
        events = self._stream()
        count = 0
        async for event in events:
            # Bytes and ends are left over from a part that was not read to its end.
            if not isinstance(event, _Headers):
                continue
            count += 1
            if count > MAX_PARTS:
                raise MalformedBody(f"The form has more than {MAX_PARTS} parts.")
            yield _part(event, _until_end(events))

    async def _stream(self) -> AsyncIterator[_Event]:
        async for chunk in self._chunks:
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise MalformedBody("The form is not valid multipart/form-data.") from None
            events, self._events = self._events, []
            for event in events:
                yield event
        if not self._ended:
            raise MalformedBody("The form ends before its last boundary.")

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_header_field": lambda data, start, end: self._headers.name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._headers.value.extend(data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": lambda data, start, end: self._events.append(bytes(data[start:end])),
            "on_part_end": lambda: self._events.append(_PART_END),
            "on_end": self._on_end,
        }

    def _on_header_end(self) -> None:
        self._headers.end_one()

    def _on_headers(self) -> None:
        self._events.append(self._headers)
        self._headers = _Headers()

    def _on_end(self) -> None:
        self._ended = True


def _part(headers: _Headers, chunks: AsyncIterator[bytes]) -> Part:
    _, options = parse_options_header(headers.values.get(b"content-disposition"))
    if b"name" not in options:
        raise MalformedBody("A part of the form has no name.")
    content_type = headers.values.get(b"content-type")
    return Part(
        name=options[b"name"].decode("utf-8", errors="replace"),
        content_type=content_type.decode("latin-1") if content_type is not None else None,
        is_file=b"filename" in options,
        chunks=chunks,
    )


async def _until_end(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is _PART_END:
            return
        if isinstance(event, bytes):
            yield event
