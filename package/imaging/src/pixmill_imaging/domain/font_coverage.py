"""Which characters a font has glyphs for, by its ``cmap`` table (OpenType 1.9): Pillow does not tell."""

import struct
from bisect import bisect_right
from typing import BinaryIO, Final

_COLLECTION: Final = b"ttcf"
_SEGMENTS: Final = 4
_GROUPS: Final = 12
#: More than any font has; what claims more is damaged.
_MOST_GROUPS: Final = 200_000


class Coverage:
    """``ranges`` are first and last code points, both inclusive, in ascending order."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self._ranges = ranges

    @property
    def is_empty(self) -> bool:
        return not self._ranges

    def __contains__(self, character: str) -> bool:
        code = ord(character)
        at = bisect_right(self._ranges, (code, 0x110000)) - 1
        return at >= 0 and code <= self._ranges[at][1]


def read_coverage(font: BinaryIO) -> Coverage:
    """Of a TrueType or OpenType font, or the first of a collection. Nothing is covered by what is no such file."""
    try:
        return Coverage(sorted(_ranges(font)))
    except (struct.error, OSError):
        return Coverage([])


def _ranges(font: BinaryIO) -> list[tuple[int, int]]:
    start = _unpack(font, 12, ">I")[0] if _read(font, 0, 4) == _COLLECTION else 0
    tables = _unpack(font, start + 4, ">H")[0]
    for at in range(start + 12, start + 12 + 16 * tables, 16):
        if _read(font, at, 4) == b"cmap":
            return _best(font, _unpack(font, at + 8, ">I")[0])
    return []


def _best(font: BinaryIO, cmap: int) -> list[tuple[int, int]]:
    """Of the subtables for Unicode: the one for all planes, else the one for the first."""
    found: dict[int, int] = {}
    for index in range(_unpack(font, cmap + 2, ">H")[0]):
        platform, encoding, offset = _unpack(font, cmap + 4 + 8 * index, ">HHI")
        if platform == 0 or (platform, encoding) in ((3, 1), (3, 10)):
            found[_unpack(font, cmap + offset, ">H")[0]] = cmap + offset
    if _GROUPS in found:
        return _groups(font, found[_GROUPS])
    return _segments(font, found[_SEGMENTS]) if _SEGMENTS in found else []


def _groups(font: BinaryIO, at: int) -> list[tuple[int, int]]:
    count = min(_unpack(font, at + 12, ">I")[0], _MOST_GROUPS)
    data = _read(font, at + 16, 12 * count)
    return [(first, last) for first, last, _glyph in struct.iter_unpack(">III", data)]


def _segments(font: BinaryIO, at: int) -> list[tuple[int, int]]:
    """A segment counts as a whole, though some codes inside one may have no glyph."""
    count = _unpack(font, at + 6, ">H")[0] // 2
    lasts = struct.unpack(f">{count}H", _read(font, at + 14, 2 * count))
    firsts = struct.unpack(f">{count}H", _read(font, at + 16 + 2 * count, 2 * count))
    return [(first, last) for first, last in zip(firsts, lasts, strict=True) if first != 0xFFFF]


def _unpack(font: BinaryIO, at: int, form: str) -> tuple[int, ...]:
    return struct.unpack(form, _read(font, at, struct.calcsize(form)))


def _read(font: BinaryIO, at: int, count: int) -> bytes:
    font.seek(at)
    return font.read(count)
