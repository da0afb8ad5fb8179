"""The little of JPEG's structure (ITU-T T.81, annex B) that is needed before a decoder is asked."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from pixmill_imaging.domain.structure import PartCount

_SCAN: Final = 0xDA
_END: Final = b"\xff\xd9"
#: Frames begin with one of these; the others between are tables (DHT, JPG, DAC).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Lossless and hierarchical coding, which no decoder at hand reads.
_RARE: Final = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})


class _Segment(NamedTuple):
    """``at`` is where its marker stands."""

    marker: int
    at: int


def has_end(data: bytes) -> bool:
    """Is there an end marker after the first scan begins? One before it belongs to a thumbnail in the EXIF."""
    scan = next((segment for segment in _segments(data) if segment.marker == _SCAN), None)
    # From behind, where it mostly is.
    return scan is not None and data.rfind(_END, scan.at) != -1


def unread_coding(data: bytes) -> str | None:
    """Words for a way of coding that is JPEG and that no decoder at hand reads, or None."""
    frame = next((segment for segment in _segments(data) if segment.marker in _FRAMES), None)
    if frame is None:
        return None
    if frame.marker in _RARE:
        return "is coded without loss or in layers"
    bits = data[frame.at + 4 : frame.at + 5]
    return f"has {bits[0]} bits a sample instead of 8" if bits and bits != b"\x08" else None


def _segments(data: bytes) -> Iterator[_Segment]:
    """Up to the first scan, or to where the structure ends. Raises PermanentError for too many of them."""
    at, parts = 2, PartCount()
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        parts.add()
        marker = data[at + 1]
        # Markers may be padded by any number of 0xff; a segment is its marker and its length, which counts itself.
        if marker == 0xFF:
            at += 1
            continue
        yield _Segment(marker, at)
        if marker == _SCAN:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
