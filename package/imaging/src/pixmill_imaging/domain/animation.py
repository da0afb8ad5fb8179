"""How many frames a file has, from its structure alone: nothing is decoded, and the work is bounded.

``gif`` and ``apng`` also say how their frames are put together; a WebP or AVIF decoder does that by itself.
"""

import struct
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.sniff import SourceFormat

#: Frames are counted no further than this: no limit may be higher, and the count of a hostile file costs no minutes.
MOST_COUNTED: Final = 10_000


class Disposal(Enum):
    """What becomes of a frame's part of the canvas when its time is over."""

    KEEP = auto()
    CLEAR = auto()
    RESTORE = auto()


class Part(NamedTuple):
    """A frame as it is stored: ``file`` is a still of ``size`` that goes to (``left``, ``upper``) of the canvas.

    It is None if the frame shows nothing. ``duration`` in milliseconds. ``over`` lets what is below shine through;
    else it is replaced.
    """

    left: int
    upper: int
    size: Size
    duration: int
    disposal: Disposal
    over: bool
    file: bytes | None


def frame_count(data: bytes, source_format: SourceFormat) -> int:
    """At least 1, at most ``MOST_COUNTED``. What PNG and AVIF give is what the file claims: it may have fewer."""
    # Imported here, as these modules describe their frames in the types above.
    from pixmill_imaging.domain import apng, gif

    count = 1
    if source_format is SourceFormat.GIF:
        count = gif.count(data, MOST_COUNTED)
    elif source_format is SourceFormat.PNG:
        count = apng.claimed(data)
    elif source_format is SourceFormat.WEBP:
        count = _webp_frames(data)
    elif source_format is SourceFormat.AVIF:
        count = _samples(data, 0, len(data))
    return max(1, min(count, MOST_COUNTED))


def _webp_frames(data: bytes) -> int:
    """The ANMF chunks of the RIFF container; each chunk is padded to an even length."""
    at, count = 12, 0
    while at + 8 <= len(data) and count < MOST_COUNTED:
        count += data[at : at + 4] == b"ANMF"
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return count


#: The boxes on the way to a track's sample sizes (ISO/IEC 14496-12), each within the one before.
_PATH: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")


def _samples(data: bytes, at: int, end: int, depth: int = 0) -> int:
    """The most samples that any track between ``at`` and ``end`` claims: there may be one for colour, one for alpha."""
    most = 0
    for kind, body, box_end in _boxes(data, at, end):
        if kind != _PATH[depth]:
            continue
        if depth + 1 < len(_PATH):
            most = max(most, _samples(data, body, box_end, depth + 1))
        elif box_end - body >= 12:
            # Version and flags, the size of all samples or 0, then their number.
            most = max(most, int.from_bytes(data[body + 8 : body + 12], "big"))
    return most


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box, where its body begins, and where it ends."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if length == 1 and at + 16 <= end:
            length, body = int.from_bytes(data[body : body + 8], "big"), at + 16
        if length < body - at:
            # 0 is "to the end of the file", which only the pixels are; less than the box's own head is nonsense.
            return
        yield kind, body, min(at + length, end)
        at += length
