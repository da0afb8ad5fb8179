"""The structure of GIF (GIF89a specification, 1990), as far as frames are concerned; the pixels are left packed.

``parts`` takes an animation to pieces that are stills, ``joined`` makes one of such pieces.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from pixmill_imaging.domain.animation import Disposal, Part
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.structure import MOST_PARTS, PartCount

_INTRODUCER: Final = re.compile(rb"[,!;]")
_IMAGE: Final = 0x2C
_CONTROL: Final = 0xF9
_APPLICATION: Final = 0xFF
#: Both names have been used for the extension that says how often the animation repeats.
_REPEATS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
#: The others, and those that are reserved, keep what was drawn.
_DISPOSALS: Final = {2: Disposal.CLEAR, 3: Disposal.RESTORE}
_DISPOSAL_NUMBERS: Final = {Disposal.KEEP: 1, Disposal.CLEAR: 2, Disposal.RESTORE: 3}


class _Block(NamedTuple):
    """From ``start`` to ``end`` of the file; ``label`` is that of an extension."""

    start: int
    end: int
    is_image: bool
    label: int


class _Control(NamedTuple):
    """The graphic control extension before an image; ``transparent`` is an index of its palette."""

    disposal: Disposal = Disposal.KEEP
    duration: int = 0
    transparent: int | None = None


def count(data: bytes, most: int) -> int:
    """The number of images that the file holds, counted up to ``most``."""
    return sum(1 for _ in islice((block for block in _blocks(data) if block.is_image), most))


def canvas(data: bytes) -> Size:
    """The logical screen, enlarged by the first image where that reaches beyond it, as browsers show it.

    ValueError if the file is cut off before the first image, or nothing has a size.
    """
    width, height = struct.unpack_from("<HH", data.ljust(10, b"\0"), 6)
    first = next((block for block in _blocks(data) if block.is_image), None)
    if first is None:
        raise ValueError("a GIF without an image")
    left, upper, columns, rows = struct.unpack_from("<HHHH", data, first.start + 1)
    size = Size(max(width, left + columns), max(height, upper + rows))
    if not size.pixels or not columns * rows:
        raise ValueError("a GIF without a pixel")
    return size


def plays(data: bytes) -> int:
    """How often the animation is shown, 0 for ever. The file holds how often it is repeated, near its beginning."""
    for block in islice(_blocks(data), MOST_PARTS):
        name, repeats = data[block.start + 3 : block.start + 14], data[block.start + 14 : block.start + 18]
        if block.label == _APPLICATION and name in _REPEATS and repeats[:2] == b"\x03\x01" and len(repeats) == 4:
            times = int.from_bytes(repeats[2:4], "little")
            return times + 1 if times else 0
    return 1


def parts(data: bytes, screen: Size) -> Iterator[Part]:
    """The frames in order. ValueError for one that is larger than the screen."""
    control = _Control()
    for block in _blocks(data):
        if block.is_image:
            yield _part(data, block, control, screen)
            control = _Control()
        elif block.label == _CONTROL and data[block.start + 2] == 4 and block.end - block.start >= 8:
            control = _control(data[block.start + 3 : block.start + 7])


def _blocks(data: bytes) -> Iterator[_Block]:
    """Raises PermanentError for too many extensions, or runs of bytes in them, which Pillow puts together. How many
    images there are, is for the limits.
    """
    at, parts = 13 + _palette_bytes(data[10] if len(data) > 10 else 0), PartCount()
    # Stray bytes between blocks are skipped.
    while (found := _INTRODUCER.search(data, at)) and found.group() != b";":
        start = found.start()
        is_image = data[start] == _IMAGE
        if start + (11 if is_image else 3) > len(data):
            return
        body = start + 11 + _palette_bytes(data[start + 9]) if is_image else start + 2
        at, runs = _after_sub_blocks(data, body)
        parts.add(0 if is_image else 1 + runs)
        yield _Block(start, at, is_image, -1 if is_image else data[start + 1])


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, at: int) -> tuple[int, int]:
    """Where they end, and how many there are."""
    end, runs = len(data), 0
    while at < end and data[at]:
        at += 1 + data[at]
        runs += 1
    return at + 1, runs


def _control(body: bytes) -> _Control:
    flags, delay, index = struct.unpack("<BHB", body)
    # Delays are in hundredths of a second.
    return _Control(_DISPOSALS.get(flags >> 2 & 7, Disposal.KEEP), delay * 10, index if flags & 1 else None)


def _part(data: bytes, block: _Block, control: _Control, screen: Size) -> Part:
    left, upper, width, height = struct.unpack_from("<HHHH", data, block.start + 1)
    size = Size(width, height)
    if width > screen.width or height > screen.height:
        # The limits were asked about the screen: a larger frame is no picture, but a bomb.
        raise ValueError("a frame larger than the screen")
    file = _still(data, block, size, control.transparent) if size.pixels else None
    return Part(left, upper, size, control.duration, control.disposal, True, file)


def _still(data: bytes, block: _Block, size: Size, transparent: int | None) -> bytes:
    """A GIF of this frame alone, at the corner of a screen of its own size, with its palette as the global one."""
    flags, body = data[block.start + 9], block.start + 10
    palette = data[body : body + _palette_bytes(flags)]
    packed = data[body + len(palette) : block.end]
    if not palette:
        flags = flags & 0x40 | data[10] & 0x87
        palette = data[13 : 13 + _palette_bytes(flags)]
    head = struct.pack("<6sHHBBB", b"GIF89a", *size, flags & 0x87, 0, 0) + palette
    control = b"" if transparent is None else struct.pack("<BBBBHBB", 0x21, _CONTROL, 4, 1, 0, transparent, 0)
    image = struct.pack("<BHHHHB", _IMAGE, 0, 0, *size, flags & 0x40)
    return b"".join((head, control, image, packed, b"\0;"))


def joined(screen: Size, plays: int, pieces: Iterable[Part], comment: bytes = b"") -> bytes:
    """An animation of stills, each with a palette of its own; ``plays`` is how often it is shown, 0 for ever.

    A still must be a GIF of one image at its corner. Durations come to hundredths of a second, and those that are
    lost by rounding in one frame come back in a later one.
    """
    out = [struct.pack("<6sHHBBB", b"GIF89a", *screen, 0, 0, 0)]
    if plays != 1:
        repeats = min(max(plays - 1, 0), 0xFFFF)
        out.append(struct.pack("<BBB11sBBHB", 0x21, _APPLICATION, 11, _REPEATS[0], 3, 1, repeats, 0))
    if comment:
        runs = (comment[at : at + 255] for at in range(0, len(comment), 255))
        out += [b"!\xfe", *(bytes([len(run)]) + run for run in runs), b"\0"]
    shown = 0
    for piece in pieces:
        begun, shown = shown, shown + piece.duration
        out.append(_packed(piece, min(_hundredths(shown) - _hundredths(begun), 0xFFFF)))
    return b"".join((*out, b";"))


def _hundredths(milliseconds: int) -> int:
    return (milliseconds + 5) // 10


def _packed(piece: Part, delay: int) -> bytes:
    data = piece.file or b""
    image = next(block for block in _blocks(data) if block.is_image)
    transparent = next(
        (_control(data[b.start + 3 : b.start + 7]).transparent for b in _blocks(data) if b.label == _CONTROL), None
    )
    flags = _DISPOSAL_NUMBERS[piece.disposal] << 2 | (transparent is not None)
    control = struct.pack("<BBBBHBB", 0x21, _CONTROL, 4, flags, delay, transparent or 0, 0)
    palette = data[13 : 13 + _palette_bytes(data[10])]
    local = data[10] & 0x87 | data[image.start + 9] & 0x40
    place = struct.pack("<BHHHHB", _IMAGE, piece.left, piece.upper, *piece.size, local)
    return control + place + palette + data[image.start + 10 : image.end]
