"""JPEG: no alpha, so what can be seen through is white."""

from pixmill_imaging.pillow.encoders.encoding import Encoding, flattened, saved
from pixmill_imaging.pillow.picture import Picture


def encode_jpeg(picture: Picture, how: Encoding) -> bytes:
    # Neither optimised nor progressive: 4 and 6 % fewer bytes for 2 and 5 times the CPU.
    return saved(flattened(picture.frames[0]), "JPEG", quality=how.quality)
