"""Which loader this process decodes with."""

import importlib.util

from pixmill_imaging.domain.animation import frame_count
from pixmill_imaging.domain.exif import is_plain_lab
from pixmill_imaging.domain.loader import Loader, OpenedSource
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.errors import ConfigurationError


class _VipsWithPillow:
    """libvips for the stills that it reads, Pillow for the rest and for all animations.

    libvips knows no APNG, no AVIF sequence and no Lab of 8 bits a channel, and takes 1.6 times the CPU for an
    animated WebP.
    """

    name = "vips"

    def __init__(self) -> None:
        from pixmill_imaging.vips.loader import FORMATS, VipsLoader

        self._formats = FORMATS
        self._vips = VipsLoader()
        self._pillow = PillowLoader()

    def open(self, data: bytes, source_format: SourceFormat) -> OpenedSource[Picture]:
        loader: Loader[Picture] = self._vips if self._is_for_vips(data, source_format) else self._pillow
        return loader.open(data, source_format)

    def _is_for_vips(self, data: bytes, source_format: SourceFormat) -> bool:
        if source_format not in self._formats or frame_count(data, source_format) > 1:
            return False
        return source_format is not SourceFormat.TIFF or not is_plain_lab(data)


def choose_loader(choice: LoaderChoice) -> Loader[Picture]:
    """Import and configure the chosen library; call it in the process that renders, not in one that forks.

    Raises ConfigurationError if vips is asked for and not installed.
    """
    if choice is LoaderChoice.PILLOW:
        return PillowLoader()
    if importlib.util.find_spec("pyvips") is not None:
        return _VipsWithPillow()
    if choice is LoaderChoice.VIPS:
        raise ConfigurationError(
            "PIXMILL_IMAGING_LOADER is vips, and pyvips is not installed. "
            "Install pixmill-imaging[vips], or set auto or pillow."
        )
    return PillowLoader()
