"""From whatever a file holds to L, RGB or RGBA in sRGB with 8 bits a channel."""

import contextlib
import io
from functools import lru_cache
from itertools import product
from typing import Final

from PIL import Image, ImageChops, ImageCms, ImageMath, TiffImagePlugin

from pixmill_imaging.pillow.canvas import Canvas

_PLAIN: Final = ("L", "RGB", "RGBA")
#: A broken profile, or one of another colour space, spoils nothing but itself.
_UNUSABLE: Final = (ImageCms.PyCMSError, OSError, ValueError)
#: A profile of more bytes than this is no plain sRGB (its largest is the v4 preference profile's 60,960).
_MOST_BYTES: Final = 65_536
#: Samples across each channel on which a profile is tried.
_STEPS: Final = range(0, 256, 17)
#: Tag 339 of TIFF.
_SAMPLE_FORMAT: Final = 339
_UNSIGNED: Final = 1
_WIDE_GREY: Final = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def resizable(image: Image.Image) -> Image.Image:
    """A mode whose pixels may be averaged: no palette, no 16 bits. CMYK stays, it is converted when small."""
    if image.mode in _WIDE_GREY:
        # Pillow clips these to 255 by itself; the top 8 of the 16 bits are what they look like.
        return _whole(image).point(lambda sample: sample / 256).convert("L")
    if "transparency" in image.info or image.mode in ("PA", "La", "LA", "RGBa"):
        return image.convert("RGBA")
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode in ("1", "F"):
        return image.convert("L")
    return image


def _whole(image: Image.Image) -> Image.Image:
    """Pillow takes the 32 bits of a TIFF for signed ones, whatever it says."""
    samples = image.convert("I")
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or _UNSIGNED not in image.tag_v2.get(_SAMPLE_FORMAT, (1,)):
        return samples
    floats: Image.Image = ImageMath.lambda_eval(
        lambda of: of["float"](of["x"]) + of["float"](of["x"] < 0) * 2.0**32, x=samples
    )
    return floats


def to_srgb(image: Image.Image, profile: bytes | None) -> Canvas:
    """Through the embedded ICC profile if there is a usable one, else by the mode alone."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile and not (image.mode in ("RGB", "RGBA") and is_srgb(profile)):
        with contextlib.suppress(*_UNUSABLE):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode=mode)
            if converted is not None:
                return converted
    return image if image.mode in _PLAIN else image.convert(mode)


def is_srgb(profile: bytes) -> bool:
    """Are RGB samples sRGB already? By trying: the profile changes none of a grid of colours by more than rounding."""
    return len(profile) <= _MOST_BYTES and _changes_nothing(profile)


@lru_cache(maxsize=32)
def _changes_nothing(profile: bytes) -> bool:
    with contextlib.suppress(*_UNUSABLE):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        grid = _grid()
        converted = ImageCms.profileToProfile(grid, source, _srgb(), outputMode="RGB")
        if converted is not None:
            return max(ImageChops.difference(grid, converted).tobytes()) <= 1
    return False


@lru_cache(maxsize=1)
def _grid() -> Image.Image:
    samples = bytes(sample for colour in product(_STEPS, repeat=3) for sample in colour)
    return Image.frombytes("RGB", (len(_STEPS), len(_STEPS) ** 2), samples)


def converts(profile: bytes, mode: str) -> bool:
    """Can pixels of ``mode`` be brought to sRGB by this ICC profile?"""
    with contextlib.suppress(*_UNUSABLE):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.buildTransform(source, _srgb(), mode, "RGB")
        return True
    return False


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
