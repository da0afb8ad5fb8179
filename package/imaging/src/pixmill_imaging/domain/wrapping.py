"""Where the lines of a text break, and how large its letters can be. Lengths are in ems: times the letters' size."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from pixmill_imaging.domain.geometry import Size

#: Punctuation and small kana that Japanese does not begin a line with, and brackets that it does not end one with.
_NOT_FIRST: Final = frozenset(
    "、。，．・：；？！）」』】〕〉》ーゝゞ々〻…‥％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ\u200d"
)
_NOT_LAST: Final = frozenset("（「『【〔〈《\u200d")
_BALANCING: Final = 0.96


class Piece(NamedTuple):
    """What stays on one line; ``spaced``: there is a space before it."""

    text: str
    spaced: bool


class Wrapped(NamedTuple):
    """``size`` is that of the letters, in pixels."""

    lines: list[str]
    size: int


def wrapped(
    text: str, width_of: Callable[[str], float], line_height: float, room: Size, sizes: Sequence[int]
) -> Wrapped:
    """In the largest of ``sizes`` (descending) in which the text fits into ``room``; a word is cut where it must be.

    In the smallest, whether it fits or not, if it fits in none.
    """
    whole = [(piece, width_of(piece.text)) for piece in pieces(text)]
    cut = [(letter, width_of(letter.text)) for letter in _letters(piece for piece, _ in whole)]
    space = width_of(" ")
    for measured in (whole, cut):
        for size in sizes:
            lines = _filled(measured, space, room.width / size)
            if lines is not None and len(lines) * line_height * size <= room.height:
                return Wrapped(_balanced(lines, measured, space, room.width / size), size)
    return Wrapped(_filled(cut, space, room.width / sizes[-1]) or [text], sizes[-1])


def pieces(text: str) -> Iterator[Piece]:
    """Words; of scripts without spaces each character, with the punctuation that belongs to it."""
    for word in text.split():
        start = 0
        for at in range(1, len(word)):
            if _may_break(word[at - 1], word[at]):
                yield Piece(word[start:at], start == 0)
                start = at
        yield Piece(word[start:], start == 0)


def _may_break(before: str, after: str) -> bool:
    if after in _NOT_FIRST or before in _NOT_LAST or unicodedata.category(after)[0] == "M":
        return False
    return any(unicodedata.east_asian_width(letter) in "WF" for letter in (before, after))


def _letters(parts: Iterable[Piece]) -> Iterator[Piece]:
    for piece in parts:
        for at, letter in enumerate(piece.text):
            yield Piece(letter, piece.spaced and at == 0)


def _filled(measured: Sequence[tuple[Piece, float]], space: float, width: float) -> list[str] | None:
    """Each line as full as it gets; None if a piece is wider than a line."""
    lines: list[str] = []
    used = 0.0
    for piece, length in measured:
        if length > width:
            return None
        gap = space if piece.spaced else 0.0
        if lines and used + gap + length <= width:
            lines[-1] += (" " if piece.spaced else "") + piece.text
            used += gap + length
        else:
            lines.append(piece.text)
            used = length
    return lines


def _balanced(lines: list[str], measured: Sequence[tuple[Piece, float]], space: float, width: float) -> list[str]:
    """As many lines, of about the same length."""
    count = len(lines)
    while (narrower := _filled(measured, space, width := width * _BALANCING)) and len(narrower) == count > 1:
        lines = narrower
    return lines
