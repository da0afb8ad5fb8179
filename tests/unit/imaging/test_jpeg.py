"""A JPEG that was cut off is told from one that ends."""

from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.jpeg import has_end

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
