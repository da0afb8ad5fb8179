"""The fast loader: libvips decodes, scales down, turns upright and converts to sRGB; Pillow takes over."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyvips

from pixmill_imaging.domain import exif
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.jpeg import has_end
from pixmill_imaging.domain.loader import Header, Step, no_step
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.canvas import canvas_from_pixels
from pixmill_imaging.pillow.colour import converts, is_srgb
from pixmill_imaging.pillow.decoding import OUT_OF_MEMORY
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.vips import library  # noqa: F401 - configures the process
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError

#: What the binary wheel reads, which has no BMP and no HEIC, without GIF, whose frames are put together in one way
#: only: Pillow is as fast at a still one.
FORMATS: Final = frozenset(SourceFormat) - {SourceFormat.BMP, SourceFormat.HEIC, SourceFormat.GIF}

_SIDEWAYS: Final = (5, 6, 7, 8)
_GREY: Final = "b-w"
#: 8 bits a channel; of 16 it is another one.
_RGB: Final = "srgb"
_COLOURS: Final = {_GREY: 1, "grey16": 1, _RGB: 3, "rgb16": 3, "cmyk": 4}
"""Channels, by what libvips calls those of 8 and of 16 bits."""
_WIDE: Final = ("int", "uint")
_PROFILE: Final = "icc-profile-data"

#: The strictest level but for warnings: a file that ends too early is an error, not a grey half.
_FAIL_ON: Final = "error"

#: What libvips and libheif say; "unable to write to memory" stands before any error of a decoder.
_OUT_OF_MEMORY: Final = re.compile("out of memory|Memory allocation error")
_DAMAGED: Final = "The image is damaged or incomplete."


class VipsLoader:
    name = "vips"

    def open(self, data: bytes, source_format: SourceFormat) -> "VipsSource":
        """Read the header; see ``domain.loader.Loader``."""
        if source_format is SourceFormat.JPEG and not has_end(data):
            # libvips sees this only if the rows that are missing count at the size that is wanted.
            raise PermanentError(ErrorCode.UNDECODABLE, _DAMAGED)
        if source_format is SourceFormat.TIFF:
            # A milder level than "error" for these would also take rows that are missing for black ones.
            data = exif.forgiven(data)
        with _decoding():
            image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on=_FAIL_ON)
            if source_format is SourceFormat.TIFF and exif.has_unnamed_channel(data):
                image = _colours_of(image)
            orientation = image.get("orientation") if image.get_typeof("orientation") else 1
        stored = Size(image.width, image.height)
        size = Size(stored.height, stored.width) if orientation in _SIDEWAYS else stored
        return VipsSource(data, image, Header(source_format, size))


class VipsSource:
    def __init__(self, data: bytes, image: "pyvips.Image", header: Header) -> None:
        self.header = header
        self._data = data
        self._image = image

    def pixels(self, target: Size, frames: int = 1, step: Step = no_step) -> Picture:
        """Decode; see ``domain.loader.OpenedSource``. There is never more than one frame: Pillow does animations."""
        with _decoding():
            small = _plain(self._thumbnail(target))
            pixels = small.write_to_memory()
        return Picture.still(canvas_from_pixels(pixels, small.width, small.height, small.bands))

    def _thumbnail(self, target: Size) -> "pyvips.Image":
        # With "force" the size is exactly the one that our geometry says; the aspect is in there already.
        options = {"height": target.height, "size": "force"}
        if self._image.interpretation == "cmyk" and not converts(self._profile(), "CMYK"):
            return _without_profile(self._inks(target).thumbnail_image(target.width, **options))
        if self._needs_conversion():
            options |= {"output_profile": "srgb", "intent": "perceptual"}
        if self.header.format is SourceFormat.JPEG:
            # JPEG alone is shrunk while it is loaded: WebP loses too much by it, and what AVIF and TIFF offer
            # are small copies that need not show the same picture. The operation's own fail_on does not reach
            # the decoder (libvips 8.18 gave grey for the missing half); the option string does.
            return pyvips.Image.thumbnail_buffer(
                self._data, target.width, option_string=f"fail_on={_FAIL_ON}", **options
            )
        return self._samples().thumbnail_image(target.width, **options)

    def _samples(self) -> "pyvips.Image":
        """Of whole numbers of 32 bits those up to 16 bits count, as in Pillow: what lies beyond is white."""
        image = self._image
        return (image / 256).cast("uchar") if image.format in _WIDE else image

    def _profile(self) -> bytes:
        return bytes(self._image.get(_PROFILE)) if self._image.get_typeof(_PROFILE) else b""

    def _needs_conversion(self) -> bool:
        profile = self._profile()
        return bool(profile) and not (self._image.interpretation == _RGB and is_srgb(profile))

    def _inks(self, target: Size) -> "pyvips.Image":
        """The four inks as bands that mean nothing, so that libvips does not convert them by a profile of its own."""
        image = self._image
        if self.header.format is SourceFormat.JPEG:
            spare = min(self.header.size.width // target.width, self.header.size.height // target.height) // 2
            shrink = max(factor for factor in (1, 2, 4, 8) if factor <= max(1, spare))
            image = pyvips.Image.jpegload_buffer(self._data, shrink=shrink, access="sequential", fail_on=_FAIL_ON)
        image = image.copy(interpretation="multiband")
        return (image / 257).cast("uchar") if image.format == "ushort" else image


def _colours_of(image: "pyvips.Image") -> "pyvips.Image":
    """Without the further channels, of which the first would be taken for alpha, or for an ink too many."""
    colours = _COLOURS.get(image.interpretation, image.bands)
    return image.extract_band(0, n=colours) if colours < image.bands else image


def _without_profile(inks: "pyvips.Image") -> "pyvips.Image":
    """What the inks let through of white, as browsers and Pillow show CMYK that says nothing of itself."""
    light = 255 - inks
    seen = (light.extract_band(0, n=3) * light.extract_band(3) / 255).rint()
    return seen.cast("uchar").copy(interpretation="srgb")


def _plain(image: "pyvips.Image") -> "pyvips.Image":
    """1, 3 or 4 bands of 8 bits: grey without alpha, or sRGB."""
    if image.interpretation != "srgb" and not (image.interpretation == _GREY and image.bands == 1):
        image = image.colourspace("srgb")
    if image.bands > 4:
        # A TIFF may carry any number of channels beside the colours; the first of them is the alpha, if one is.
        image = image.extract_band(0, n=4)
    return image if image.format == "uchar" else image.cast("uchar")


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise PermanentError(ErrorCode.MEMORY_LIMIT, OUT_OF_MEMORY) from error
        raise PermanentError(ErrorCode.UNDECODABLE, _DAMAGED) from error
