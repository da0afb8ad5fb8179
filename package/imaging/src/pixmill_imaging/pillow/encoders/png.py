"""PNG: lossless, so it has no quality."""

from pixmill_imaging.pillow.encoders.encoding import Encoding, saved
from pixmill_imaging.pillow.picture import Picture


def encode_png(picture: Picture, _how: Encoding) -> bytes:
    return saved(picture.frames[0], "PNG")
