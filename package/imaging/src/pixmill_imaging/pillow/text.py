"""Text as a picture of its own: several lines, each character by the first font that has it, never too large."""

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

from PIL import Image, ImageDraw

from pixmill_imaging.domain.geometry import Size, fit
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.fonts import Face, FontBook
from pixmill_shared.domain.recipe import TextMark

_LEAST_SIZE: Final = 1.0
#: Times the size, on every side: room for what a font draws beyond its own metrics.
_OVERHANG: Final = 0.5


class Run(NamedTuple):
    """A part of a line that one font draws."""

    face: Face
    text: str


class _Line(NamedTuple):
    runs: list[Run]
    width: float


def text_layer(mark: TextMark, room: Size, align: float, fonts: FontBook) -> Canvas:
    """RGBA, cut to what is inked, inside ``room``; ``align`` is 0 for lines flush left, 1 for right.

    The size of the letters is made smaller until the text fits: it is set anew, not scaled, and so is sharp.
    """
    texts = lines_of(mark, fonts)
    ink = _drawn(texts, _fitting(texts, mark.size, room), align)
    box = ink.getbbox()
    ink = ink.crop(box) if box else Image.new("L", (1, 1))
    size = fit(Size(*ink.size), room)
    if size != ink.size:
        # Letters of a pixel are as small as they get.
        ink = ink.resize(size, Image.Resampling.LANCZOS)
    layer = Image.new("RGBA", ink.size, mark.color[:3])
    layer.putalpha(ink.point(lambda alpha: round(alpha * mark.color.alpha / 255)))
    return layer


def lines_of(mark: TextMark, fonts: FontBook) -> list[list[Run]]:
    """The lines of a text, each in runs of one font."""
    faces = _Faces(fonts.faces(mark.font))
    return [_runs(line, faces) for line in mark.text.split("\n")]


def extent(text: str, size: float, fonts: FontBook) -> tuple[float, float]:
    """Width and height of one line, in pixels; ``text`` is not empty."""
    texts = lines_of(TextMark(text), fonts)
    return _width(texts[0], size), sum(_metrics(texts, size))


def fonts_identity(marks: Iterable[TextMark], fonts: FontBook) -> str:
    """sha256 in hex of all that decides how texts are drawn, beside the texts: two machines may have other fonts."""
    faces = {run.face.digest for mark in marks for line in lines_of(mark, fonts) for run in line}
    return hashlib.sha256("\n".join([fonts.layout, *sorted(faces)]).encode()).hexdigest()


class _Faces:
    """Fonts in the order of preference, opened no earlier than a character needs them."""

    def __init__(self, faces: Iterable[Face]) -> None:
        self._coming = iter(faces)
        self._seen: list[Face] = []

    def of(self, character: str) -> Face:
        """The first that has the character; the first of all shows its box if none has."""
        for face in self._seen:
            if character in face.coverage:
                return face
        for face in self._coming:
            if face.coverage.is_empty:
                continue
            self._seen.append(face)
            if character in face.coverage:
                return face
        return self._seen[0]


def _runs(line: str, faces: _Faces) -> list[Run]:
    runs: list[Run] = []
    for character in line:
        current = runs[-1].face if runs else None
        face = current if current and _stays(character, current) else faces.of(character)
        if face is current:
            runs[-1] = Run(face, runs[-1].text + character)
        else:
            runs.append(Run(face, character))
    return runs


def _stays(character: str, face: Face) -> bool:
    """Accents and joiners belong to what they follow; a space or a comma does not end a run of Arabic."""
    kind = unicodedata.category(character)
    return kind[0] == "M" or kind == "Cf" or (kind[0] != "L" and character in face.coverage)


def _fitting(texts: list[list[Run]], size: int, room: Size) -> float:
    """Measured, and nothing drawn yet: a long text in large letters would be a picture of its own limits."""
    width = max(_width(runs, size) for runs in texts)
    height = sum(_metrics(texts, size)) * len(texts)
    factor = min(1.0, room.width / max(width, 1), room.height / max(height, 1))
    return float(size) if factor == 1 else max(_LEAST_SIZE, size * factor)


def _drawn(texts: list[list[Run]], size: float, align: float) -> Canvas:
    """Mode L, 255 where there is ink."""
    lines = [_Line(runs, _width(runs, size)) for runs in texts]
    ascent, descent = _metrics(texts, size)
    widest, pad = max(line.width for line in lines), int(size * _OVERHANG) + 1
    height = (ascent + descent) * len(lines)
    ink = Image.new("L", (int(widest) + 1 + 2 * pad, int(height) + 1 + 2 * pad))
    draw = ImageDraw.Draw(ink)
    for number, line in enumerate(lines):
        x = pad + (widest - line.width) * align
        baseline = pad + ascent + number * (ascent + descent)
        for face, text in line.runs:
            font = face.sized(size)
            draw.text((x, baseline), text, fill=255, font=font, anchor="ls")
            x += font.getlength(text)
    return ink


def _width(runs: list[Run], size: float) -> float:
    return sum(face.sized(size).getlength(text) for face, text in runs)


def _metrics(texts: list[list[Run]], size: float) -> tuple[int, int]:
    """The largest ascent and descent of the fonts in use."""
    metrics = [face.sized(size).getmetrics() for runs in texts for face, _text in runs]
    return max(ascent for ascent, _ in metrics), max(descent for _, descent in metrics)
