"""A source at the sizes that its outputs begin with: the small ones are made of the large ones, not of the whole."""

from collections.abc import Iterable

from pixmill_imaging.domain.geometry import Box, Size
from pixmill_imaging.domain.plan import rung_above
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.resampling import Resample


class Ladder:
    """``loaded`` shows the whole source, at least at each of ``sizes``. A rung that others stand on is made once."""

    def __init__(self, loaded: Picture, sizes: Iterable[Size], resample: Resample) -> None:
        self._loaded = loaded
        self._sizes = frozenset(sizes)
        self._resample = resample
        self._above = {size: rung_above(size, self._sizes) for size in self._sizes}
        self._kept: dict[Size, Picture] = {}

    def at(self, size: Size) -> Picture:
        """``size`` is one of ``sizes``, or that of the loaded picture."""
        if size == self._loaded.size:
            return self._loaded
        if size in self._kept:
            return self._kept[size]
        above = self._above[size]
        below = self._loaded if above is None else self.at(above)
        whole = Box.whole(below.size)
        made = below.each(lambda frame: self._resample(frame, whole, size))
        if size in self._above.values():
            self._kept[size] = made
        return made
