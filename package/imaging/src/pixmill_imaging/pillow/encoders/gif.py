"""GIF: 256 colours, and a pixel is there or not."""

from typing import Final

from PIL import Image

from pixmill_imaging.pillow.encoders.encoding import Encoding, flattened, saved
from pixmill_imaging.pillow.picture import Picture

_OPAQUE_FROM: Final = 128
_TRANSPARENT_INDEX: Final = 255


def encode_gif(picture: Picture, _how: Encoding) -> bytes:
    image = picture.frames[0]
    if image.mode == "L":
        return saved(image, "GIF")
    if image.mode == "RGB":
        return saved(image.quantize(256, Image.Quantize.MEDIANCUT), "GIF")
    indexed = flattened(image).quantize(_TRANSPARENT_INDEX, Image.Quantize.MEDIANCUT)
    hidden = image.getchannel("A").point(lambda alpha: 255 if alpha < _OPAQUE_FROM else 0)
    indexed.paste(_TRANSPARENT_INDEX, mask=hidden)
    return saved(indexed, "GIF", transparency=_TRANSPARENT_INDEX, optimize=False)
