"""GIF: 256 colours, and a pixel is there or not."""

from typing import Final

from PIL import Image

from pixmill_imaging.domain.metadata import Metadata
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.encoders.encoding import Encoding, flattened, is_opaque, saved
from pixmill_imaging.pillow.encoders.gif_frames import OPAQUE_FROM, TRANSPARENT_INDEX, encode_frames
from pixmill_imaging.pillow.picture import Picture

#: XMP stands raw in an application extension (XMP specification, part 3): readers that take it for sub-blocks land
#: somewhere in the descending bytes behind it, which lead all of them to the end.
_XMP: Final = b"\x21\xff\x0bXMP DataXMP"
_XMP_END: Final = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
_TRAILER: Final = b"\x3b"


def encode_gif(picture: Picture, how: Encoding) -> bytes:
    if picture.is_animated:
        return _with_xmp(encode_frames(picture, how.metadata.comment), how.metadata)
    image, comment = picture.frames[0], {"comment": how.metadata.comment} if how.metadata.comment else {}
    if is_opaque(image):
        opaque = image if image.mode == "L" else image.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT)
        return _with_xmp(saved(opaque, "GIF", **comment), how.metadata)
    written = saved(_see_through(image), "GIF", transparency=TRANSPARENT_INDEX, optimize=False, **comment)
    return _with_xmp(written, how.metadata)


def _see_through(image: Canvas) -> Image.Image:
    indexed = flattened(image).quantize(TRANSPARENT_INDEX, Image.Quantize.MEDIANCUT)
    hidden = image.getchannel("A").point(lambda alpha: 255 if alpha < OPAQUE_FROM else 0)
    indexed.paste(TRANSPARENT_INDEX, mask=hidden)
    return indexed


def _with_xmp(data: bytes, metadata: Metadata) -> bytes:
    return data.removesuffix(_TRAILER) + _XMP + metadata.xmp + _XMP_END + _TRAILER if metadata.xmp else data
