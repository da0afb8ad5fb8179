"""How many frames a file has, from its structure alone: nothing is decoded, and the work is bounded.

``gif`` and ``apng`` also say how their frames are put together; a WebP or AVIF decoder does that by itself. ``avif``
says how often they are shown, which its decoder does not.
"""

from enum import Enum, auto
from typing import Final, NamedTuple

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.domain.structure import PartCount

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
    """At least 1, at most ``MOST_COUNTED``. What PNG and AVIF give is what the file claims: it may have fewer.

    Raises PermanentError ``undecodable`` for a file of too many parts.
    """
    # Imported here, as these modules describe their frames in the types above.
    from pixmill_imaging.domain import apng, avif, gif

    count = 1
    if source_format is SourceFormat.GIF:
        count = gif.count(data, MOST_COUNTED)
    elif source_format is SourceFormat.PNG:
        count = apng.claimed(data)
    elif source_format is SourceFormat.WEBP:
        count = _webp_frames(data)
    elif source_format is SourceFormat.AVIF:
        count = avif.claimed(data)
    return max(1, min(count, MOST_COUNTED))


def _webp_frames(data: bytes) -> int:
    """The ANMF chunks of the RIFF container; each chunk is padded to an even length."""
    at, count, parts = 12, 0, PartCount()
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= end and count < MOST_COUNTED:
        parts.add()
        count += data[at : at + 4] == b"ANMF"
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return count
