"""AVIF."""

from typing import Final

from pixmill_imaging.pillow.encoders.encoding import Encoding, saved
from pixmill_imaging.pillow.picture import Picture

#: AVIF of speed 8 takes 25 % of the CPU of 6 and 40 % of that of 7, for 5 % and no more bytes, at equal SSIM.
_SPEED: Final = 8


def encode_avif(picture: Picture, how: Encoding) -> bytes:
    # One thread, as a render process has one core.
    return saved(picture.frames[0], "AVIF", quality=how.quality, speed=_SPEED, max_threads=1)
