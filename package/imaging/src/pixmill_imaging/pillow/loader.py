"""The loader that is always there: ``Image.draft`` lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size."""

import contextlib
import io
from typing import Final

# Importing a plugin registers it. Only these are imported, and ``open`` is told which one to use.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pixmill_imaging.domain import gif
from pixmill_imaging.domain.animation import frame_count
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.loader import Header, Step, no_step
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.animation import animation
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.colour import resizable, to_srgb
from pixmill_imaging.pillow.decoding import DECODER_ERRORS, decoding
from pixmill_imaging.pillow.heif import HEIF, plug_in_heif
from pixmill_imaging.pillow.picture import Picture

# Pillow imports more of them by itself when it opens or saves a file, unless it believes that all are there.
Image._initialized = 2

#: Pillow's names; an MPO is a JPEG with more pictures behind it, and its first one is read as any JPEG.
PILLOW_FORMATS: Final = {source_format: source_format.upper() for source_format in SourceFormat} | {
    SourceFormat.HEIC: HEIF
}

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = (5, 6, 7, 8)

#: How much larger than the target the cheap steps (draft, box reduction) leave the picture for Lanczos.
_GAP: Final = 2.0


class PillowLoader:
    name = "pillow"

    def open(self, data: bytes, source_format: SourceFormat) -> "PillowSource":
        """Read the header; see ``domain.loader.Loader``."""
        if source_format is SourceFormat.HEIC:
            plug_in_heif()
        with decoding():
            frames = frame_count(data, source_format)
            image = Image.open(io.BytesIO(data), formats=(PILLOW_FORMATS[source_format],))
            orientation = _orientation(image)
            stored = gif.canvas(data) if source_format is SourceFormat.GIF else Size(*image.size)
        size = Size(stored.height, stored.width) if orientation in _SIDEWAYS else stored
        return PillowSource(data, image, Header(source_format, size, frames), orientation)


class PillowSource:
    def __init__(self, data: bytes, image: Image.Image, header: Header, orientation: int) -> None:
        self.header = header
        self._data = data
        self._image = image
        self._turn = _UPRIGHT.get(orientation)
        self._is_sideways = orientation in _SIDEWAYS

    def pixels(self, target: Size, frames: int = 1, step: Step = no_step) -> Picture:
        """Decode; see ``domain.loader.OpenedSource``."""
        size = Size(target.height, target.width) if self._is_sideways else target
        with decoding():
            # The first frame of a GIF need not fill its canvas; that of any other format does.
            if frames > 1 or self.header.format is SourceFormat.GIF:
                stored = self.header.size
                stored = Size(stored.height, stored.width) if self._is_sideways else stored
                finish = lambda frame: self._finished(_downscale(frame, size, None))  # noqa: E731
                return animation(self._data, self._image, self.header.format, stored, frames, finish, step)
            return Picture.still(self._finished(self._still(size)))

    def _still(self, size: Size) -> Image.Image:
        # Only JPEG knows draft; every other format answers None.
        draft = self._image.draft(None, (int(size.width * _GAP), int(size.height * _GAP)))
        self._image.load()
        return _downscale(resizable(self._image), size, draft[1] if draft else None)

    def _finished(self, small: Image.Image) -> Canvas:
        canvas = to_srgb(small, self._image.info.get("icc_profile"))
        upright = canvas.transpose(self._turn) if self._turn is not None else canvas
        upright.info = {}
        return upright


def _orientation(image: Image.Image) -> int:
    """From 1 to 8, 1 if there is none that can be read.

    ``getexif`` of a PNG decodes the whole picture to look behind it, and this is before the limits: so only what
    stood before the pixels is looked at. Pillow turns a TIFF by itself as it loads it, and gives the turned size.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1
    with contextlib.suppress(*DECODER_ERRORS):
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        return int(exif.get(ExifTags.Base.Orientation, 1))
    return 1


def _downscale(image: Image.Image, size: Size, box: tuple[float, float, float, float] | None) -> Image.Image:
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=_GAP)
