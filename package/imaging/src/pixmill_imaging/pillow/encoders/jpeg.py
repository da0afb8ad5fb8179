"""JPEG: no alpha, so what can be seen through is white."""

from typing import Final

from PIL import ImageFile

from pixmill_imaging.domain.metadata import Metadata
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.encoders.encoding import Encoding, flattened, saved
from pixmill_imaging.pillow.picture import Picture

#: From here on colour is kept at full resolution, as mozjpeg and libvips do.
_FULL_CHROMA_FROM: Final = 90
_CHROMA_444: Final = 0
_CHROMA_420: Final = 2

#: Tables of its own cost twice the CPU of encoding for 3 to 10 % of the bytes: it is the thumbnails that gain, and
#: there the double is half a millisecond.
_OPTIMIZED_UP_TO_PIXELS: Final = 256 * 256

#: White noise at quality 100 in full chroma takes 3.
_MOST_BYTES_A_PIXEL: Final = 6

#: A segment's length has 16 bits and counts itself; what does not fit with its prefix is left out.
_SEGMENT: Final = 65_533
_EXIF: Final = b"Exif\0\0"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_IPTC: Final = b"Photoshop 3.0\x008BIM\x04\x04\0\0"


def encode_jpeg(picture: Picture, how: Encoding) -> bytes:
    image = flattened(picture.frames[0])
    options: dict[str, object] = {
        "quality": how.quality,
        "subsampling": _CHROMA_444 if how.quality >= _FULL_CHROMA_FROM else _CHROMA_420,
        **_segments(how.metadata),
    }
    if how.small:
        # Progressive takes five times the CPU for another 2 %, and small pictures grow by it.
        return min((_optimized(image, progressive, options) for progressive in (False, True)), key=len)
    if picture.size.pixels <= _OPTIMIZED_UP_TO_PIXELS:
        return _optimized(image, False, options)
    return saved(image, "JPEG", **options)


def _optimized(image: Canvas, progressive: bool, options: dict[str, object]) -> bytes:
    # libjpeg then wants one buffer for the whole file, and Pillow's guess is too small for noise in full chroma. This
    # is the only way to a larger one.
    block = ImageFile.MAXBLOCK
    ImageFile.MAXBLOCK = max(block, _MOST_BYTES_A_PIXEL * image.width * image.height)
    try:
        return saved(image, "JPEG", optimize=True, progressive=progressive, **options)
    finally:
        ImageFile.MAXBLOCK = block


def _segments(metadata: Metadata) -> dict[str, bytes]:
    blocks = {
        "exif": _EXIF + metadata.exif if metadata.exif else b"",
        "xmp": metadata.xmp if len(_XMP + metadata.xmp) <= _SEGMENT else b"",
        "extra": _iptc_segment(metadata.iptc) if metadata.iptc else b"",
        "comment": metadata.comment,
    }
    return {name: block for name, block in blocks.items() if block and len(block) <= _SEGMENT}


def _iptc_segment(iptc: bytes) -> bytes:
    """An image resource of Photoshop, padded to an even length."""
    body = _IPTC + len(iptc).to_bytes(4, "big") + iptc + bytes(len(iptc) % 2)
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body if len(body) < _SEGMENT else b""
