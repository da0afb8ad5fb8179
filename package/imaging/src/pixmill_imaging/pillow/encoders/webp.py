"""WebP, lossy or lossless."""

from typing import Final

from pixmill_imaging.domain.metadata import Metadata
from pixmill_imaging.pillow.encoders.encoding import Encoding, saved_frames
from pixmill_imaging.pillow.picture import Picture

#: Effort 2 takes half the CPU of the default 4, for some 3 % more bytes.
_METHOD: Final = 2
#: 6 takes twice the CPU of 4 again, for 2 %.
_SMALL_METHOD: Final = 6
#: Of lossless files ``quality`` is the effort: above 50 it takes three times the CPU for 1 %.
_LOSSLESS_EFFORT: Final = 50


def encode_webp(picture: Picture, how: Encoding) -> bytes:
    options: dict[str, object] = {
        "quality": _LOSSLESS_EFFORT if how.lossless else how.quality,
        "lossless": how.lossless,
        "method": _SMALL_METHOD if how.small else _METHOD,
        # Without it the colour of what cannot be seen is changed: nobody sees it, but it is not lossless.
        "exact": how.lossless,
        **_chunks(how.metadata),
    }
    return saved_frames(picture, "WEBP", **options)


def _chunks(metadata: Metadata) -> dict[str, object]:
    chunks = {"exif": metadata.exif, "xmp": metadata.xmp}
    return {name: block for name, block in chunks.items() if block}
