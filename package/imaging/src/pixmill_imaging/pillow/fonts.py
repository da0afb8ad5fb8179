"""Fonts for text: one that is asked for, the bundled one, and whatever else is there for characters that these lack."""

import hashlib
import importlib.util
import io
import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import BinaryIO, Final

from PIL import ImageFont, features

from pixmill_imaging.domain.font_coverage import Coverage, read_coverage
from pixmill_shared.domain.recipe import DEFAULT_FONT

#: Of the extra ``[fonts]``: a package of nothing but one font, which covers Latin, Greek, Cyrillic, Japanese, Chinese
#: and Korean. Its module is not imported: where it lies is all there is to know.
_BUNDLED: Final = ("noto_cjk_sans_jp_regular", "NotoSansCJKjp-Regular.otf")
_SUFFIXES: Final = (".ttf", ".otf", ".ttc")
#: Pixels; any size shows whether a file is a font that can be scaled.
_TRIAL: Final = 16


class Face:
    """One font, at any size. ``path`` None is the small one that is built into Pillow: Latin letters."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @cached_property
    def coverage(self) -> Coverage:
        """Nothing for what is no scalable font."""
        try:
            self.sized(_TRIAL)
            with self._open() as file:
                return read_coverage(file)
        except OSError:
            return Coverage([])

    @cached_property
    def digest(self) -> str:
        """sha256 of its bytes, in hex: another version of a font draws other pixels."""
        with self._open() as file:
            return hashlib.sha256(file.read()).hexdigest()

    @lru_cache(maxsize=16)  # noqa: B019 - faces live as long as the process
    def sized(self, size: float) -> ImageFont.FreeTypeFont:
        """``size`` in pixels to the em. Raises OSError for what is no font."""
        return ImageFont.truetype(str(self._path) if self._path else self._open(), size)

    def _open(self) -> BinaryIO:
        return self._path.open("rb") if self._path else io.BytesIO(_built_in())


class FontBook:
    """The fonts of a process. Nothing is read before a text asks for it; files that come later are not seen."""

    def __init__(self, directories: tuple[Path, ...] = ()) -> None:
        self._directories = directories

    #: How text is laid out; part of what decides pixels.
    layout: Final = "raqm" if features.check("raqm") else "basic"

    def faces(self, name: str) -> Iterator[Face]:
        """The font called ``name`` if it is here, then the default, then all others: to be asked in this order."""
        if name != DEFAULT_FONT:
            wanted = _plain(name)
            yield from (face for stem, face in self._files if stem == wanted)
        yield self.default
        yield from (face for _stem, face in self._files)

    @cached_property
    def default(self) -> Face:
        module, file = _BUNDLED
        found = importlib.util.find_spec(module)
        place = Path(found.origin).parent / file if found and found.origin else None
        return Face(place if place and place.is_file() else None)

    @cached_property
    def _files(self) -> list[tuple[str, Face]]:
        found = {path for directory in self._directories for path in directory.rglob("*")}
        fonts = [path for path in found if path.suffix.lower() in _SUFFIXES]
        # The upright, regular cut of a family has the shortest name.
        ordered = sorted(fonts, key=lambda path: (len(path.stem), path))
        return [(_plain(path.stem), Face(path)) for path in ordered]


def _plain(name: str) -> str:
    """``DejaVu Sans Bold`` and ``DejaVuSans-Bold`` are one name."""
    return re.sub(r"[ _-]", "", name).lower()


def _built_in() -> bytes:
    font = ImageFont.load_default(_TRIAL)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError("this Pillow has no FreeType")
    return font.font_bytes
