"""Which loader this process decodes with."""

import importlib.util

from pixmill_imaging.domain.loader import Loader, OpenedSource
from pixmill_imaging.domain.sniff import SourceFormat
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.errors import ConfigurationError


class _VipsWithPillow:
    """libvips for what it reads, Pillow for the rest."""

    name = "vips"

    def __init__(self) -> None:
        from pixmill_imaging.vips.loader import FORMATS, VipsLoader

        self._formats = FORMATS
        self._vips = VipsLoader()
        self._pillow = PillowLoader()

    def open(self, data: bytes, source_format: SourceFormat) -> OpenedSource[Picture]:
        loader: Loader[Picture] = self._vips if source_format in self._formats else self._pillow
        return loader.open(data, source_format)


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
