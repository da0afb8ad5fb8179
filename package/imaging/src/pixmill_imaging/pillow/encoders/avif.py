"""AVIF."""

import warnings
from typing import Final

from pixmill_imaging.domain.avif import shown, undated
from pixmill_imaging.pillow.encoders.encoding import Encoding, saved_frames
from pixmill_imaging.pillow.picture import Picture

#: Speed 8 takes 25 % of the CPU of 6 and 40 % of that of 7, for 5 % and no more bytes, at equal SSIM.
_SPEED: Final = 8
_SMALL_SPEED: Final = 6


def encode_avif(picture: Picture, how: Encoding) -> bytes:
    blocks = {"exif": how.metadata.exif, "xmp": how.metadata.xmp}
    with warnings.catch_warnings():
        # Pillow looks for an orientation in the EXIF, which has none here, and warns of all that is odd on the way.
        warnings.simplefilter("ignore")
        data = saved_frames(
            picture,
            "AVIF",
            quality=how.quality,
            speed=_SMALL_SPEED if how.small else _SPEED,
            # A render process has one core.
            max_threads=1,
            **{name: block for name, block in blocks.items() if block},
        )
    if not picture.is_animated:
        return data
    # Pillow has no option for either: it makes every animation one that is shown for ever, and libavif writes the
    # time into it, so that the same picture would be another file at each try.
    return undated(shown(data, picture.loop))
