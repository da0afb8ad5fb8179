"""The chunks of a PNG (W3C, third edition); those that hold no pixels may stand before and after those that do."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from pixmill_imaging.domain.structure import PartCount

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
#: A text may be compressed: this much of it is read, so that it cannot be a bomb.
_MOST_BYTES: Final = 1_000_000
_XMP: Final = "XML:com.adobe.xmp"


Bytes = memoryview | bytes


class Chunk(NamedTuple):
    kind: bytes
    body: Bytes


class TextBlocks(NamedTuple):
    """``texts`` by keyword."""

    exif: bytes
    xmp: bytes
    texts: dict[str, str]


def text_blocks(data: bytes) -> TextBlocks:
    """What is damaged is left out."""
    exif, texts = b"", dict[str, str]()
    for chunk in chunks(data):
        if chunk.kind == b"eXIf":
            exif = bytes(chunk.body)
        elif chunk.kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text = _text(chunk.kind, bytes(chunk.body))
            texts[keyword] = text
    return TextBlocks(exif, texts.pop(_XMP, "").encode(), texts)


def chunks(data: bytes) -> Iterator[Chunk]:
    """In the order of the file, to its end chunk; the last one may be cut off. Raises PermanentError for too many."""
    at, view, parts = len(SIGNATURE), memoryview(data), PartCount()
    while at + 8 <= len(data):
        parts.add()
        length, kind = struct.unpack_from(">I4s", data, at)
        yield Chunk(kind, view[at + 8 : at + 8 + length])
        if kind == b"IEND":
            return
        at += 12 + length


def _text(name: bytes, body: bytes) -> tuple[str, str]:
    keyword, _, rest = body.partition(b"\0")
    if name == b"tEXt":
        return keyword.decode("latin-1"), rest[:_MOST_BYTES].decode("latin-1")
    if name == b"zTXt":
        return keyword.decode("latin-1"), _inflated(rest[1:]).decode("latin-1")
    # Flag and method of compression, language, translated keyword.
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return keyword.decode("latin-1"), (_inflated(text) if rest[:1] == b"\1" else text).decode("utf-8", "replace")


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MOST_BYTES)
    except zlib.error:
        return b""
