"""The structure of animated PNG (PNG, third edition, section 4.9), as far as frames are concerned."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from pixmill_imaging.domain.animation import Disposal, Part
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.png import SIGNATURE, Bytes, Chunk, chunks

_DISPOSALS: Final = (Disposal.KEEP, Disposal.CLEAR, Disposal.RESTORE)
#: What stands before the pixels and decides what they mean.
_MEANING: Final = (b"PLTE", b"tRNS")


def claimed(data: bytes) -> int:
    """The number of frames in the acTL chunk, which stands before the pixels; 1 for a still."""
    control = _control(data)
    return 1 if control is None else control[0]


def plays(data: bytes) -> int:
    """How often the animation is shown, 0 for ever."""
    control = _control(data)
    return 1 if control is None else control[1]


def parts(data: bytes, canvas: Size) -> Iterator[Part]:
    """The frames in order; a default image that is not part of the animation is passed over.

    ValueError for a frame that reaches beyond the canvas, struct.error for one that is cut off.
    """
    header = b""
    frame: Bytes | None = None
    meaning: list[Chunk] = []
    pixels: list[Bytes] = []
    for chunk in chunks(data):
        if chunk.kind == b"IHDR":
            header = bytes(chunk.body)
        elif chunk.kind in _MEANING and frame is None:
            meaning.append(chunk)
        elif chunk.kind in (b"fcTL", b"IEND"):
            if frame is not None:
                yield _part(frame, header, meaning, pixels, canvas)
            frame, pixels = chunk.body, []
        elif chunk.kind in (b"IDAT", b"fdAT") and frame is not None:
            # fdAT has its pixels behind a sequence number.
            pixels.append(chunk.body if chunk.kind == b"IDAT" else chunk.body[4:])


def _control(data: bytes) -> tuple[int, int] | None:
    """All chunks are walked over: whether there are too many is known before a decoder does the same."""
    found, is_before_pixels = None, True
    for chunk in chunks(data):
        is_before_pixels = is_before_pixels and chunk.kind != b"IDAT"
        if is_before_pixels and found is None and chunk.kind == b"acTL" and len(chunk.body) == 8:
            frames, times = struct.unpack(">II", chunk.body)
            found = frames, times
    return found


def _part(
    frame: Bytes,
    header: bytes,
    meaning: list[Chunk],
    pixels: list[Bytes],
    canvas: Size,
) -> Part:
    _, width, height, left, upper, numerator, denominator, disposal, blend = struct.unpack(">IIIIIHHBB", frame)
    size = Size(width, height)
    if not size.pixels or left + width > canvas.width or upper + height > canvas.height:
        raise ValueError("a frame beyond the canvas")
    chunks = [
        Chunk(b"IHDR", struct.pack(">II", *size) + header[8:]),
        *meaning,
        Chunk(b"IDAT", b"".join(pixels)),
        Chunk(b"IEND", b""),
    ]
    file = SIGNATURE + b"".join(map(_packed, chunks))
    # A denominator of 0 means hundredths.
    duration = round(1000 * numerator / (denominator or 100))
    return Part(left, upper, size, duration, _DISPOSALS[disposal], blend == 1, file)


def _packed(chunk: Chunk) -> bytes:
    checksum = zlib.crc32(chunk.body, zlib.crc32(chunk.kind))
    return b"".join((struct.pack(">I4s", len(chunk.body), chunk.kind), chunk.body, struct.pack(">I", checksum)))
