"""IPTC-IIM, the older way to caption press photographs: records of a marker, two numbers, a length and a text."""

from collections.abc import Iterator
from typing import Final

from pixmill_imaging.domain.exif import decoded
from pixmill_imaging.domain.rights import Rights

_MARKER: Final = 0x1C
_BYLINE: Final = (2, 80)
_CREDIT: Final = (2, 110)
_NOTICE: Final = (2, 116)


def rights_of(records: bytes) -> Rights:
    found: dict[tuple[int, int], list[str]] = {}
    for key, text in _records(records):
        found.setdefault(key, []).append(decoded(text))
    creator, credit, notice = (", ".join(found.get(key, ())) for key in (_BYLINE, _CREDIT, _NOTICE))
    return Rights(creator=creator, credit=credit, notice=notice)


def _records(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 5 <= len(data) and data[at] == _MARKER:
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        yield (data[at + 1], data[at + 2]), data[at + 5 : at + 5 + length]
        at += 5 + length
