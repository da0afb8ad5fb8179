"""The structure of an AVIF sequence (ISO/IEC 14496-12): how many frames it has, and how often they are shown.

A track repeats if its edit list says so. How often, is its length by that of what is in it; one of the greatest length
that can be written repeats for ever.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from pixmill_imaging.domain.structure import PartCount

#: The boxes on the way to a track's sample sizes, each within the one before.
_SIZES: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")
_MOVIE: Final = (b"moov", b"mvhd")
_TRACK: Final = (b"moov", b"trak", b"tkhd")
_EDITS: Final = (b"moov", b"trak", b"edts", b"elst")
#: All that begin with when they were made and changed.
_DATED: Final = (_MOVIE, _TRACK, (b"moov", b"trak", b"mdia", b"mdhd"))

_REPEATS: Final = 1


class _Box(NamedTuple):
    """From ``body``, behind its head, to ``end``."""

    kind: bytes
    body: int
    end: int


class _Number(NamedTuple):
    """Where it stands, and its struct code: 4 bytes in boxes of version 0, 8 in those of version 1."""

    at: int
    code: str


def claimed(data: bytes) -> int:
    """The most samples that any track says to have: there may be one for colour, one for alpha. 0 for a still."""
    # Version and flags, the size of all samples or 0, then their number.
    counts = (data[box.body + 8 : box.body + 12] for box in _found(data, _SIZES) if box.end - box.body >= 12)
    return max((int.from_bytes(count, "big") for count in counts), default=0)


def plays(data: bytes) -> int:
    """How often the animation is shown, 0 for ever, which is also what a file without a word of it means."""
    for edits, head in zip(_found(data, _EDITS), _found(data, _TRACK), strict=False):
        once, length = _number(data, edits, 8), _number(data, head, 20)
        if once is None or length is None or not _read(data, once):
            return 0
        if not data[edits.body + 3] & _REPEATS:
            return 1
        whole = _read(data, length)
        return 0 if whole == _most(length) else max(1, -(-whole // _read(data, once)))
    return 0


def shown(data: bytes, times: int) -> bytes:
    """``data``, an animation of our own that is shown for ever, as one that is shown so many times; 0 is for ever."""
    if not times:
        return data
    changed = bytearray(data)
    longest = 0
    for edits, head in zip(_found(data, _EDITS), _found(data, _TRACK), strict=True):
        once, length = _number(data, edits, 8), _number(data, head, 20)
        if once is None or length is None:
            raise ValueError("a track without a length")
        changed[edits.body + 3] = _REPEATS if times > 1 else 0
        longest = max(longest, min(_read(data, once) * times, _most(length) - 1))
        struct.pack_into(length.code, changed, length.at, longest)
    for movie in _found(data, _MOVIE):
        length = _number(data, movie, 16)
        if length is not None:
            struct.pack_into(length.code, changed, length.at, longest)
    return bytes(changed)


def undated(data: bytes) -> bytes:
    """``data`` without the second it was made in, at its length: 0 is what writers put where they do not know it."""
    changed = bytearray(data)
    for path in _DATED:
        for box in _found(data, path):
            first = box.body + 4
            length = min(16 if data[box.body : box.body + 1] == b"\x01" else 8, box.end - first)
            changed[first : first + length] = bytes(length)
    return bytes(changed)


def _number(data: bytes, box: _Box, at: int) -> _Number | None:
    """``at`` is for version 0. Where times stand before it, as in all but edit lists, those grow in version 1 too."""
    is_wide = data[box.body : box.body + 1] == b"\x01"
    number = _Number(box.body + at + (8 if is_wide and box.kind != b"elst" else 0), ">Q" if is_wide else ">I")
    return number if number.at + struct.calcsize(number.code) <= box.end else None


def _read(data: bytes, number: _Number) -> int:
    (value,) = struct.unpack_from(number.code, data, number.at)
    return int(value)


def _most(number: _Number) -> int:
    return int(2 ** (8 * struct.calcsize(number.code)) - 1)


def _found(data: bytes, path: tuple[bytes, ...]) -> Iterator[_Box]:
    """All boxes at the end of ``path``. Raises PermanentError for too many on the way."""
    return _within(data, path, 0, len(data), PartCount())


def _within(data: bytes, path: tuple[bytes, ...], at: int, end: int, parts: PartCount) -> Iterator[_Box]:
    for box in _boxes(data, at, end):
        parts.add()
        if box.kind == path[0] and len(path) == 1:
            yield box
        elif box.kind == path[0]:
            yield from _within(data, path[1:], box.body, box.end, parts)


def _boxes(data: bytes, at: int, end: int) -> Iterator[_Box]:
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if length == 1 and at + 16 <= end:
            length, body = int.from_bytes(data[body : body + 8], "big"), at + 16
        if length < body - at:
            # 0 is "to the end of the file", which only the pixels are; less than the box's own head is nonsense.
            return
        yield _Box(kind, body, min(at + length, end))
        at += length
