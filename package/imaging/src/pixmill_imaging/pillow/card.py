"""A picture that says of itself that it is none: a name on a ground of its own colour, above a band PLACEHOLDER."""

import colorsys
import hashlib
import io
from functools import cache
from typing import Final, NamedTuple

from PIL import Image, ImageDraw

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.wrapping import wrapped
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.text import extent, text_layer
from pixmill_shared.domain.recipe import WHITE, Colour, TextMark

LAYOUT: Final = 1
"""Of what this module draws: another number, other pixels."""
MARK: Final = "PLACEHOLDER"
NAMELESS: Final = "—"

_SIDE: Final = 1024
_BAND: Final = 148
_MARGIN: Final = 80
_NAME_ROOM: Final = Size(_SIDE - 2 * _MARGIN, 560)
_NAME_MIDDLE: Final = 470
_NAME_SIZES: Final = (160, 136, 116, 100, 86, 74, 64, 56, 48, 42, 36)
_LONGEST_NAME: Final = 120
_CATEGORY_ROOM: Final = Size(_SIDE - 2 * _MARGIN, 56)
_CATEGORY_MIDDLE: Final = 112
_LONGEST_CATEGORY: Final = 40
#: Characters of a text that are looked at: nobody reads the rest.
_LOOKED_AT: Final = 4_000
_EM: Final = 100
#: The ground is drawn larger and made smaller: edges that are not jagged.
_OVERSAMPLING: Final = 2
_STRIPE: Final = 56
#: Not printable, and yet how letters are joined.
_JOINERS: Final = "\u200c\u200d"


class _Palette(NamedTuple):
    ground: Colour
    disc: Colour
    ink: Colour
    band: Colour
    stripe: Colour


def placeholder_card(name: str, category: str, fonts: FontBook) -> bytes:
    """PNG, 1024 x 1024. The same texts and fonts give the same bytes. No text makes it fail."""
    name, category = _shown(name, _LONGEST_NAME), _shown(category, _LONGEST_CATEGORY)
    palette = _palette(name)
    card = _ground(palette)
    _write(card, _name_layer(name or NAMELESS, palette.ink, fonts), _NAME_MIDDLE)
    if category:
        mark = TextMark(category, size=44, color=palette.band)
        _write(card, text_layer(mark, _CATEGORY_ROOM, 0.5, fonts), _CATEGORY_MIDDLE)
    spaced = TextMark("\u2009".join(MARK), size=84, color=WHITE)
    _write(card, text_layer(spaced, Size(_SIDE - 2 * _MARGIN, _BAND - 70), 0.5, fonts), _SIDE - _BAND // 2)
    buffer = io.BytesIO()
    card.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _shown(text: str, longest: int) -> str:
    """One line of what can be seen."""
    letters = (letter if letter.isprintable() or letter in _JOINERS else " " for letter in text[:_LOOKED_AT])
    line = " ".join("".join(letters).split()).strip(_JOINERS)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _name_layer(name: str, ink: Colour, fonts: FontBook) -> Canvas:
    @cache
    def width_of(text: str) -> float:
        return extent(text, _EM, fonts)[0] / _EM

    height = extent(name, _EM, fonts)[1] / _EM
    lines, size = wrapped(name, width_of, height, _NAME_ROOM, _NAME_SIZES)
    return text_layer(TextMark("\n".join(lines), size=size, color=ink), _NAME_ROOM, 0.5, fonts)


def _write(card: Canvas, layer: Canvas, middle: int) -> None:
    """In the middle of the card's width, around the height ``middle``."""
    width, height = layer.size
    card.paste(layer, ((_SIDE - width) // 2, middle - height // 2), layer)


def _palette(name: str) -> _Palette:
    digest = hashlib.sha256(name.encode("utf-8", errors="replace")).digest()
    hue = int.from_bytes(digest[:2], "big") / 65_536
    return _Palette(
        _hls(hue, 0.86, 0.46),
        _hls(hue, 0.93, 0.55),
        _hls(hue, 0.16, 0.50),
        _hls(hue, 0.30, 0.45),
        _hls(hue, 0.26, 0.45),
    )


def _hls(hue: float, lightness: float, saturation: float) -> Colour:
    return Colour(*(round(255 * channel) for channel in colorsys.hls_to_rgb(hue, lightness, saturation)))


def _ground(palette: _Palette) -> Canvas:
    side, band = _SIDE * _OVERSAMPLING, _BAND * _OVERSAMPLING
    large = Image.new("RGB", (side, side), palette.ground[:3])
    draw = ImageDraw.Draw(large)
    radius, middle = side * 44 // 100, _NAME_MIDDLE * _OVERSAMPLING
    draw.ellipse((side // 2 - radius, middle - radius, side // 2 + radius, middle + radius), fill=palette.disc[:3])
    top = side - band
    draw.rectangle((0, top, side, side), fill=palette.band[:3])
    step = _STRIPE * _OVERSAMPLING
    for left in range(-band, side + band, 2 * step):
        corners = ((left, side), (left + step, side), (left + step + band, top), (left + band, top))
        draw.polygon(corners, fill=palette.stripe[:3])
    return large.reduce(_OVERSAMPLING)
