"""A JPEG that was cut off is told from one that ends, and one that nobody reads from one that is damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.jpeg import has_end, unread_coding
from pixmill_imaging.domain.sniff import SourceFormat, sniff
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError

THUMBNAIL = b"\xff\xe1\x00\x08\xff\xd8\xff\xd9\x00\x00"
SCAN = b"\xff\xda\x00\x02\x12\x34\xff\x00\x56"


def test_end_after_the_scan_is_seen():
    assert has_end(b"\xff\xd8" + THUMBNAIL + SCAN + b"\xff\xd9")
    assert has_end(b"\xff\xd8" + SCAN + b"\xff\xd9trailing bytes of a camera")
    assert has_end(b"\xff\xd8\xff\xff" + THUMBNAIL + SCAN + b"\xff\xd9")


def test_end_of_a_thumbnail_is_not_the_end_of_the_picture():
    assert not has_end(b"\xff\xd8" + THUMBNAIL + SCAN)
    assert not has_end(b"\xff\xd8" + THUMBNAIL)


@given(st.binary(max_size=40))
def test_any_bytes_get_an_answer(data):
    assert has_end(b"\xff\xd8\xff" + data) in (True, False)
    unread_coding(b"\xff\xd8\xff" + data)


def jpeg_of(marker, bits):
    return b"\xff\xd8" + THUMBNAIL + bytes((0xFF, marker, 0, 11, bits)) + b"\0\x08\0\x08\1\1\x11\0" + SCAN + b"\xff\xd9"


@pytest.mark.parametrize(("marker", "bits"), [(0xC0, 8), (0xC1, 8), (0xC2, 8), (0xC9, 8)])
def test_usual_coding_is_taken(marker, bits):
    assert sniff(jpeg_of(marker, bits)) is SourceFormat.JPEG


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [(0xC1, 12, "12 bits a sample"), (0xC3, 16, "without loss"), (0xC5, 8, "in layers")],
)
def test_coding_that_no_decoder_reads_is_refused_by_name(marker, bits, words):
    with pytest.raises(PermanentError) as caught:
        sniff(jpeg_of(marker, bits))
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT
    assert words in caught.value.detail
