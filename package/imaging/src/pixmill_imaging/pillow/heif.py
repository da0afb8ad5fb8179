"""HEIC, by the extra ``[heif]``: what phones write. Both loaders come here, as libvips' wheel has no decoder for it."""

import importlib.util
from functools import cache
from typing import Final

from pixmill_imaging.domain.sniff import without_decoder

#: Pillow's name of the format, once it is plugged in.
HEIF: Final = "HEIF"


@cache
def plug_in_heif() -> None:
    """Raises PermanentError ``unsupported_format`` where the extra is not installed."""
    if importlib.util.find_spec("pillow_heif") is None:
        raise without_decoder("HEIC image")
    import pillow_heif

    # Thumbnails inside need not show the same picture; a render process has one core.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
