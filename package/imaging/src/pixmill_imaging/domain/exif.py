"""EXIF (CIPA DC-008) as bytes: a TIFF of directories. Read, and changed at its length, so that whatever points
somewhere, as makers' notes do, goes on pointing there. A TIFF file begins in the same way.
"""

import struct
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from pixmill_imaging.domain.rights import Rights

ARTIST: Final = 0x013B
COPYRIGHT: Final = 0x8298
_ORIENTATION: Final = 0x0112
_RESOLUTION_UNIT: Final = 0x0128
_BITS: Final = 0x0102
_PHOTOMETRIC: Final = 0x0106
_LAB: Final = 8
_EXTRA_SAMPLES: Final = 0x0152
_EXIF: Final = 0x8769
_INTEROPERABILITY: Final = 0xA005
_COLOUR_SPACE: Final = 0xA001
_INDEX: Final = 0x0001
_SRGB: Final = 1

#: What the standard knows of values that libtiff takes for errors, and every viewer for nothing, where they are others.
_KNOWN: Final = {_ORIENTATION: range(1, 9), _RESOLUTION_UNIT: range(1, 4)}

_ASCII: Final = 2
_SHORT: Final = 3
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_THUMBNAIL: Final = (0x0201, 0x0202)
_THUMBNAIL_STRIPS: Final = (0x0111, 0x0117)


class _Entry(NamedTuple):
    """``at`` is where its value stands, ``length`` in bytes."""

    tag: int
    kind: int
    at: int
    length: int


class _Tiff:
    """Raises KeyError, ValueError or struct.error for what is no TIFF. A bytearray is changed in place."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = memoryview(data)
        self.order = {b"II*\0": "<", b"MM\0*": ">"}[bytes(data[:4])]

    def number(self, at: int, size: int = 4) -> int:
        (value,) = struct.unpack_from(f"{self.order}{'H' if size == 2 else 'I'}", self.data, at)
        return int(value)

    def first(self) -> int:
        return self.number(4)

    def entries(self, directory: int) -> Iterator[_Entry]:
        for at in range(directory + 2, directory + 2 + 12 * self.number(directory, 2), 12):
            tag, kind = self.number(at, 2), self.number(at + 2, 2)
            length = _SIZES.get(kind, 0) * self.number(at + 4)
            start = at + 8 if length <= 4 else self.number(at + 8)
            if length and start + length <= len(self.data):
                yield _Entry(tag, kind, start, length)

    def next(self, directory: int) -> int:
        """Where the directory says where the next one is."""
        return directory + 2 + 12 * self.number(directory, 2)

    def values(self, entry: _Entry) -> list[int]:
        size = 2 if entry.kind == _SHORT else 4
        return [self.number(entry.at + at, size) for at in range(0, entry.length, size)]

    def drop(self, directory: int, tag: int) -> None:
        """Of whatever type it is; what stands behind its entries moves up, and what they point at stays."""
        count = self.number(directory, 2)
        begin, end = directory + 2, self.next(directory) + 4
        entries = [bytes(self.data[at : at + 12]) for at in range(begin, end - 4, 12)]
        left = [entry for entry in entries if struct.unpack_from(f"{self.order}H", entry) != (tag,)]
        struct.pack_into(f"{self.order}H", self.data, directory, len(left))
        self.data[begin:end] = (b"".join(left) + self.data[end - 4 : end]).ljust(12 * count + 4, b"\0")

    def put_short(self, entry: _Entry, value: int) -> None:
        if entry.kind == _SHORT:
            struct.pack_into(f"{self.order}H", self.data, entry.at, value)


_BROKEN: Final = (KeyError, ValueError, struct.error)


def field(data: bytes, tag: int) -> bytes:
    """The bytes of a field of the first directory; empty where there is none that can be read."""
    try:
        tiff = _Tiff(data)
        found = next((entry for entry in tiff.entries(tiff.first()) if entry.tag == tag), None)
    except _BROKEN:
        return b""
    return bytes(tiff.data[found.at : found.at + found.length]) if found else b""


def is_plain_lab(data: bytes) -> bool:
    """Is this TIFF of CIE L*a*b* with 8 bits a channel?"""
    photometric, bits = field(data, _PHOTOMETRIC), field(data, _BITS)
    return set(photometric) == {0, _LAB} and set(bits) == {0, 8}


def has_unnamed_channel(data: bytes) -> bool:
    """Does a TIFF say of the first channel beside its colours that it is neither alpha nor anything else?"""
    return field(data, _EXTRA_SAMPLES)[:2] == bytes(2)


def forgiven(data: bytes) -> bytes:
    """The same TIFF without an orientation or a unit of resolution that there is not; as it is where its directory ends
    too early.
    """
    byte_order: Literal["little", "big"] = "little" if data[:1] == b"I" else "big"
    said = {tag: field(data, tag) for tag in _KNOWN}
    unknown = [tag for tag, value in said.items() if value and int.from_bytes(value, byte_order) not in _KNOWN[tag]]
    if not unknown:
        return data
    try:
        # A directory at the very end of the file may lack the place of the next one, which libtiff takes for none.
        tiff = _Tiff(bytearray(data + bytes(4)))
        for tag in unknown:
            tiff.drop(tiff.first(), tag)
    except _BROKEN:
        return data
    return bytes(tiff.data)


def rights_of(data: bytes) -> Rights:
    # Of two notices, the photographer's and the editor's, a zero byte stands between.
    texts = (field(data, tag).rstrip(b"\0").replace(b"\0", b"; ") for tag in (ARTIST, COPYRIGHT))
    creator, notice = (decoded(text) for text in texts)
    return Rights(creator=creator, notice=notice)


def decoded(text: bytes) -> str:
    """ASCII says the standard; UTF-8 or Latin-1 is what is written."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def settled(data: bytes) -> bytes:
    """The same EXIF for pixels that are upright and sRGB, without the thumbnail; empty if nothing is left of it or it
    cannot be read.
    """
    try:
        tiff = _Tiff(bytearray(data))
        first = tiff.first()
        _drop_thumbnail(tiff, first)
        # A 1 in its place would do for readers that look at its type; some take a number of any type for it.
        tiff.drop(first, _ORIENTATION)
        if not tiff.number(first, 2):
            return b""
        for pointer in [tiff.values(e)[0] for e in tiff.entries(first) if e.tag == _EXIF]:
            _set_in(tiff, pointer, _COLOUR_SPACE, _SRGB)
            _say_srgb(tiff, pointer)
    except (*_BROKEN, IndexError):
        return b""
    return bytes(tiff.data)


def written(rights: Rights) -> bytes:
    """An EXIF of the creator and the notice alone; empty if there is neither."""
    texts = {ARTIST: rights.creator, COPYRIGHT: rights.notice}
    fields = {tag: text.encode() + b"\0" for tag, text in texts.items() if text}
    if not fields:
        return b""
    body, entries = b"", b""
    start = 8 + 2 + 12 * len(fields) + 4
    for tag, value in fields.items():
        # What fits into four bytes stands in the entry itself.
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", start + len(body))
        entries += struct.pack("<HHI", tag, _ASCII, len(value)) + place
        body += b"" if len(value) <= 4 else value + bytes(len(value) % 2)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + body


def _drop_thumbnail(tiff: _Tiff, first: int) -> None:
    """Cut its directory off and blank it: it shows the picture as it was before crops and blurs."""
    link = tiff.next(first)
    second = tiff.number(link)
    struct.pack_into("<I", tiff.data, link, 0)
    if not 0 < second < len(tiff.data) - 2:
        return
    entries = {entry.tag: entry for entry in tiff.entries(second)}
    for tags in (_THUMBNAIL, _THUMBNAIL_STRIPS):
        if all(tag in entries for tag in tags):
            starts, lengths = (tiff.values(entries[tag]) for tag in tags)
            for start, length in zip(starts, lengths, strict=False):
                end = min(start + length, len(tiff.data))
                tiff.data[start:end] = bytes(max(0, end - start))


def _set_in(tiff: _Tiff, directory: int, tag: int, value: int) -> None:
    for entry in tiff.entries(directory):
        if entry.tag == tag:
            tiff.put_short(entry, value)


def _say_srgb(tiff: _Tiff, directory: int) -> None:
    """R03 is how cameras say Adobe RGB, R98 how they say sRGB."""
    for pointer in [tiff.values(e)[0] for e in tiff.entries(directory) if e.tag == _INTEROPERABILITY]:
        for entry in tiff.entries(pointer):
            if entry.tag == _INDEX and entry.length == 4:
                tiff.data[entry.at : entry.at + 4] = b"R98\0"
