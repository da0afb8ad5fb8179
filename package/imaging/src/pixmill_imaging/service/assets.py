"""What a job needs besides its source: the images of its watermarks, and fonts."""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.loader import Loader, OpenedSource
from pixmill_imaging.domain.sniff import sniff
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.text import fonts_identity
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.recipe import ImageMark, Output, TextMark, Watermark
from pixmill_shared.errors import PermanentError
from pixmill_shared.repositories import uploads
from pixmill_shared.storage import ObjectNotFound, ObjectStore

Reader = Callable[[ImageMark], bytes]

_GONE: Final = "The image of the watermark is not there any more."


class Assets:
    """Each image is read and decoded when an output first needs it, at the size that it is needed at; again only if
    another output needs it larger. An image that cannot be used is a PermanentError that says so.
    """

    def __init__(self, read: Reader, loader: Loader[Picture], limits: PixelLimits, fonts: FontBook) -> None:
        self.fonts = fonts
        self._read = read
        self._loader = loader
        self._limits = limits
        self._opened: dict[ImageMark, OpenedSource[Picture]] = {}
        self._sizes: dict[ImageMark, Size] = {}
        self._decoded: dict[ImageMark, Canvas] = {}

    def natural_size(self, image: ImageMark) -> Size:
        """In pixels, after autorotation."""
        if image not in self._sizes:
            self._opened[image] = self._open(image)
            self._sizes[image] = self._opened[image].header.size
        return self._sizes[image]

    def canvas(self, image: ImageMark, size: Size) -> Canvas:
        """The first frame, at ``size`` or larger: smaller only where the image itself is."""
        natural = self.natural_size(image)
        target = Size(min(size.width, natural.width), min(size.height, natural.height))
        kept = self._decoded.get(image)
        if kept is None or kept.width < target.width or kept.height < target.height:
            opened = self._opened.pop(image, None) or self._open(image)
            with _told_of_the_watermark():
                kept = opened.pixels(target).frames[0]
            self._decoded[image] = kept
        return kept

    def _open(self, image: ImageMark) -> OpenedSource[Picture]:
        data = self._read(image)
        if image.sha256 not in (None, hashlib.sha256(data).hexdigest()):
            # Other bytes under the digest's address would be served to whoever asks for the right ones.
            raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, _GONE)
        with _told_of_the_watermark():
            opened = self._loader.open(data, sniff(data))
            self._limits.check_source(opened.header.size)
        return opened


@contextmanager
def _told_of_the_watermark() -> Iterator[None]:
    """An error about the picture becomes one about the watermark's image."""
    try:
        yield
    except PermanentError as error:
        said = re.sub(r"^The (?:source|image)\b", "It", error.detail)
        raise PermanentError(error.code, f"The image of the watermark cannot be used. {said}") from error


def uploads_of(project: str, database: Database, store: ObjectStore) -> Reader:
    """Reads the uploads of a project."""

    def read(image: ImageMark) -> bytes:
        with database.session_scope() as session:
            upload = uploads.find(session, project, uuid.UUID(image.upload_id))
        if upload is None:
            raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, _GONE)
        try:
            return store.get(upload.key)
        except ObjectNotFound as error:
            raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, _GONE) from error

    return read


def nothing_to_read(_image: ImageMark) -> bytes:
    """Of a recipe that is rendered outside of any project."""
    raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, _GONE)


def fonts_of(output: Output, fonts: FontBook) -> str:
    """Names the fonts that draw an output's texts, for the address of its rendition; empty if there is no text."""
    steps = (operation for operation in output.operations if isinstance(operation, Watermark))
    marks = [step.mark for step in steps if isinstance(step.mark, TextMark)]
    return fonts_identity(marks, fonts) if marks else ""
