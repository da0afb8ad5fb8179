"""``python -m pixmill_imaging.testing.contact_sheet TARGET < SHEET``: pictures side by side, with captions, as one PNG.

SHEET is JSON: ``{"title", "remark", "groups": [{"heading", "entries": [{"picture", "caption", "subtitle", "mark",
"warns"}]}]}``. ``picture`` is a path, or null for an empty frame; ``mark`` is set off, as a warning if ``warns``.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from PIL import Image, ImageDraw, ImageOps

from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.text import extent, lines_of
from pixmill_imaging.settings import ImagingSettings
from pixmill_shared.domain.recipe import TextMark

Colour = tuple[int, int, int]

COLUMNS: Final = 4
_SIDE: Final = 320
_GAP: Final = 32
_MARGIN: Final = 56
_WIDTH: Final = 2 * _MARGIN + COLUMNS * _SIDE + (COLUMNS - 1) * _GAP
_HEADER: Final = 156
_HEADING: Final = 76
_CAPTIONS: Final = 108
_CORNER: Final = 14
#: Times its size, of a text that has not enough room.
_SMALLEST: Final = 0.6
#: Corners are drawn larger and made smaller: edges that are not jagged.
_OVERSAMPLING: Final = 4

_PAPER: Final[Colour] = (250, 248, 244)
_INK: Final[Colour] = (38, 34, 30)
_PALE: Final[Colour] = (120, 112, 102)
_RULE: Final[Colour] = (206, 198, 186)
_FRAME: Final[Colour] = (234, 229, 220)
_WARNING: Final[Colour] = (166, 72, 18)
_GOOD: Final[Colour] = (32, 110, 70)


class Strip(NamedTuple):
    """A part of a group that is in one row; ``column`` is its first, ``heading`` is empty where the group goes on."""

    row: int
    column: int
    heading: str
    entries: Sequence[dict[str, Any]]


def contact_sheet(sheet: dict[str, Any], fonts: FontBook) -> Image.Image:
    """An RGB picture. Raises OSError for a picture that is none."""
    strips = list(_strips(sheet["groups"]))
    height = _HEADER + (max(strip.row for strip in strips) + 1) * _row_height() + _MARGIN // 2
    canvas = _Canvas(Image.new("RGB", (_WIDTH, height), _PAPER), fonts)
    room = _WIDTH - 2 * _MARGIN
    canvas.write((_MARGIN, 84), sheet["title"], 42, _INK, room)
    canvas.write((_MARGIN, 128), sheet["remark"], 23, _PALE, room)
    for strip in strips:
        _draw(canvas, strip)
    return canvas.image


def _row_height() -> int:
    return _HEADING + _SIDE + _CAPTIONS


def _strips(groups: Sequence[dict[str, Any]]) -> Iterator[Strip]:
    """A group begins in the row of the one before it if it fits there, and goes on in further rows if it must."""
    row, column = 0, 0
    for group in groups:
        entries, heading = group["entries"], group["heading"]
        if column and column + len(entries) > COLUMNS:
            row, column = row + 1, 0
        for start in range(0, len(entries), COLUMNS):
            if start:
                row, column = row + 1, 0
            part = entries[start : start + COLUMNS]
            yield Strip(row, column, heading if start == 0 else "", part)
            column += len(part)


def _draw(canvas: "_Canvas", strip: Strip) -> None:
    left = _MARGIN + strip.column * (_SIDE + _GAP)
    top = _HEADER + strip.row * _row_height()
    width = len(strip.entries) * (_SIDE + _GAP) - _GAP
    canvas.write((left, top + 38), strip.heading, 30, _INK, width)
    canvas.rule(left, top + 56, width)
    for number, entry in enumerate(strip.entries):
        x, y = left + number * (_SIDE + _GAP), top + _HEADING
        canvas.show((x, y), entry["picture"])
        y += _SIDE
        canvas.write((x, y + 36), entry["caption"], 25, _INK, _SIDE)
        taken = canvas.stamp((x + _SIDE, y + 66), entry["mark"], _WARNING if entry["warns"] else _GOOD)
        canvas.write((x, y + 66), entry["subtitle"], 19, _PALE, _SIDE - taken - 12)


class _Canvas:
    """``at`` of texts is the left end of their baseline, in pixels."""

    def __init__(self, image: Image.Image, fonts: FontBook) -> None:
        self.image = image
        self._draw = ImageDraw.Draw(image)
        self._fonts = fonts

    def write(self, at: tuple[int, int], text: str, size: float, colour: Colour, room: int) -> None:
        """In smaller letters if it is wider than ``room``, and cut off where these could not be read."""
        if not text:
            return
        fits = room / self._width(text, size)
        if fits < _SMALLEST:
            text = text[: int(len(text) * fits / _SMALLEST)].rstrip() + "…"
        size *= min(1.0, room / self._width(text, size))
        x = float(at[0])
        for face, run in lines_of(TextMark(text), self._fonts)[0]:
            font = face.sized(size)
            self._draw.text((x, at[1]), run, fill=colour, font=font, anchor="ls")
            x += font.getlength(run)

    def stamp(self, at: tuple[int, int], text: str, colour: Colour) -> int:
        """In a rounded frame that ends at ``at``; returns its width."""
        size, pad = 17, 10
        width = round(self._width(text, size)) + 2 * pad
        left, baseline = at[0] - width, at[1]
        self._draw.rounded_rectangle((left, baseline - 20, at[0], baseline + 8), 8, outline=colour, width=2)
        self.write((left + pad, baseline), text, size, colour, width)
        return width

    def rule(self, left: int, y: int, width: int) -> None:
        self._draw.line((left, y, left + width - 1, y), fill=_RULE, width=2)

    def show(self, at: tuple[int, int], picture: str | None) -> None:
        """A square with round corners."""
        if picture is None:
            square = Image.new("RGB", (_SIDE, _SIDE), _FRAME)
        else:
            with Image.open(picture) as opened:
                square = ImageOps.fit(opened.convert("RGB"), (_SIDE, _SIDE), Image.Resampling.LANCZOS)
        self.image.paste(square, at, _mask())

    def _width(self, text: str, size: float) -> float:
        return extent(text, size, self._fonts)[0]


def _mask() -> Image.Image:
    side = _SIDE * _OVERSAMPLING
    large = Image.new("L", (side, side))
    box = (0, 0, side - 1, side - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, _CORNER * _OVERSAMPLING, fill=255)
    return large.reduce(_OVERSAMPLING)


def main(target: Path) -> None:
    fonts = FontBook(ImagingSettings.load().font_directories())
    contact_sheet(json.load(sys.stdin.buffer), fonts).save(target, "PNG")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
