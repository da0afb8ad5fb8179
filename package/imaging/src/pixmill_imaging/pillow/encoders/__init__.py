"""From a picture to the bytes of a file: one format a file, chosen by the output's format."""

from typing import Final

from pixmill_imaging.pillow.encoders.avif import encode_avif
from pixmill_imaging.pillow.encoders.encoding import Encoder, Encoding, is_opaque
from pixmill_imaging.pillow.encoders.gif import encode_gif
from pixmill_imaging.pillow.encoders.jpeg import encode_jpeg
from pixmill_imaging.pillow.encoders.png import encode_png
from pixmill_imaging.pillow.encoders.webp import encode_webp
from pixmill_shared.domain.recipe import MAX_WEBP_SIDE, OutputFormat

__all__ = ["ENCODERS", "Encoder", "Encoding", "is_opaque"]

ENCODERS: Final[dict[OutputFormat, Encoder]] = {
    OutputFormat.JPEG: Encoder(
        "image/jpeg", "jpg", encode_jpeg, 65_500, has_quality=True, has_alpha=False, has_frames=False
    ),
    OutputFormat.PNG: Encoder("image/png", "png", encode_png, 1_000_000),
    OutputFormat.WEBP: Encoder("image/webp", "webp", encode_webp, MAX_WEBP_SIDE, has_quality=True),
    OutputFormat.AVIF: Encoder("image/avif", "avif", encode_avif, 65_535, has_quality=True),
    OutputFormat.GIF: Encoder("image/gif", "gif", encode_gif, 65_535),
}
