"""The little of JPEG's structure (ITU-T T.81, annex B) that is needed to see a file that was cut off."""

from typing import Final

_SCAN: Final = b"\xff\xda"
_END: Final = b"\xff\xd9"


def has_end(data: bytes) -> bool:
    """Is there an end marker after the first scan begins? One before it belongs to a thumbnail in the EXIF."""
    at = 2
    while data[at : at + 2] != _SCAN:
        if data[at : at + 1] != b"\xff":
            return False
        # Markers may be padded by any number of 0xff; a segment is its marker and its length, which counts itself.
        at += 1 if data[at + 1 : at + 2] == b"\xff" else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(_END, at) != -1
