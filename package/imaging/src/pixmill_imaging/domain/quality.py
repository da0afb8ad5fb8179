"""The quality that fits: a bounded search over the integers from 1 to 100, by trying."""

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

Made = TypeVar("Made")

HIGHEST: Final = 100
#: Encodes that a search up may take beyond the first: the last of them is within 4 of the best quality.
_TRIES_UP: Final = 3


class Tried(NamedTuple, Generic[Made]):
    """What an encoder made of a picture at ``quality``."""

    quality: int
    made: Made


def highest_that_fits(make: Callable[[int], Made], most: int, fits: Callable[[Made], bool]) -> Tried[Made]:
    """The highest quality up to ``most`` whose result fits, in at most nine tries; if none does, the one at 1.

    A result is taken to fit wherever one of a higher quality does.
    """
    best = Tried(most, make(most))
    if fits(best.made) or most == 1:
        return best
    best = Tried(1, make(1))
    if not fits(best.made):
        return best
    low, high = 1, most
    while high - low > 1:
        tried = Tried((low + high) // 2, make((low + high) // 2))
        if fits(tried.made):
            best, low = tried, tried.quality
        else:
            high = tried.quality
    return best


def lowest_that_reaches(make: Callable[[int], Made], least: int, reaches: Callable[[Made], bool]) -> Tried[Made]:
    """A quality from ``least`` on whose result reaches what it must, near the lowest one, in at most five tries; if
    none does, the highest.
    """
    first = Tried(least, make(least))
    if reaches(first.made) or least == HIGHEST:
        return first
    best = Tried(HIGHEST, make(HIGHEST))
    if not reaches(best.made):
        return best
    low, high = least, HIGHEST
    for _ in range(_TRIES_UP):
        if high - low <= 1:
            break
        tried = Tried((low + high) // 2, make((low + high) // 2))
        if reaches(tried.made):
            best, high = tried, tried.quality
        else:
            low = tried.quality
    return best
