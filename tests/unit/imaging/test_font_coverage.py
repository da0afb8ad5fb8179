"""Which characters a font has, read from tables that are made here."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.font_coverage import read_coverage


def font(*subtables, prefix=b""):
    """``(platform, encoding, bytes)`` each; a cmap is all that there is."""
    header = struct.pack(">HH", 0, len(subtables))
    offset = len(header) + 8 * len(subtables)
    records, bodies = b"", b""
    for platform, encoding, body in subtables:
        records += struct.pack(">HHI", platform, encoding, offset + len(bodies))
        bodies += body
    start = len(prefix)
    directory = struct.pack(">IHHHH", 0x00010000, 1, 0, 0, 0) + struct.pack(">4sIII", b"cmap", 0, start + 28, 0)
    return prefix + directory + header + records + bodies


def groups(*ranges):
    body = b"".join(struct.pack(">III", first, last, 1) for first, last in ranges)
    return struct.pack(">HHIII", 12, 0, 16 + len(body), 0, len(ranges)) + body


def segments(*ranges):
    ranges = (*ranges, (0xFFFF, 0xFFFF))
    count = len(ranges)
    lasts, firsts = (struct.pack(f">{count}H", *(r[i] for r in ranges)) for i in (1, 0))
    return struct.pack(">HHHHHHH", 4, 0, 0, 2 * count, 0, 0, 0) + lasts + b"\0\0" + firsts + bytes(4 * count)


def covered(data, text):
    coverage = read_coverage(io.BytesIO(data))
    return "".join(character for character in text if character in coverage)


TEXT = "aAzéЖ日😀\uffff"


def test_both_kinds_of_subtables_are_read():
    assert covered(font((3, 1, segments((0x41, 0x5A), (0x65E5, 0x65E5)))), TEXT) == "A日"
    assert covered(font((3, 10, groups((0x61, 0x7A), (0x1F600, 0x1F600)))), TEXT) == "az😀"


def test_subtable_of_all_planes_wins_and_those_of_other_encodings_do_not_count():
    both = font((3, 1, segments((0x41, 0x5A))), (3, 10, groups((0x1F600, 0x1F600))))
    assert covered(both, TEXT) == "😀"
    assert covered(font((1, 0, segments((0x41, 0x5A)))), TEXT) == ""
    assert covered(font((0, 3, segments((0x41, 0x5A)))), TEXT) == "A"


def test_first_font_of_a_collection_is_read():
    prefix = struct.pack(">4sIII", b"ttcf", 0x00010000, 1, 16)
    assert covered(font((3, 1, segments((0x41, 0x5A))), prefix=prefix), TEXT) == "A"


@pytest.mark.parametrize("data", [b"", b"not a font", b"\0\1\0\0" + bytes(40), font((3, 1, segments((65, 90))))[:50]])
def test_what_is_no_font_covers_nothing(data):
    assert read_coverage(io.BytesIO(data)).is_empty


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data):
    read_coverage(io.BytesIO(b"\0\1\0\0" + data))
    read_coverage(io.BytesIO(font((3, 10, struct.pack(">H", 12) + data), (3, 1, struct.pack(">H", 4) + data))))
