"""What an output shows by now: a part of a picture that was perhaps loaded smaller than it is."""

from dataclasses import dataclass, replace
from typing import Self

from PIL import Image

from pixmill_imaging.domain.geometry import Box, Size, rescaled
from pixmill_imaging.domain.turning import mirrored_box, turned, turned_box
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.resampling import Resample, lanczos

_CLOCKWISE = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}


@dataclass(frozen=True)
class View:
    """``box``, in whole pixels, of what ``picture`` stands for: ``stands_for``, at least its own size.

    A crop moves the box and no pixels. So a crop and the resize behind it are one resampling, from a picture that may
    have been decoded at a fraction of its size.
    """

    picture: Picture
    stands_for: Size
    box: Box
    resample: Resample = lanczos

    @classmethod
    def of(cls, picture: Picture, stands_for: Size | None = None, resample: Resample = lanczos) -> Self:
        size = stands_for or picture.size
        return cls(picture, size, Box.whole(size), resample)

    @property
    def size(self) -> Size:
        return self.box.size

    def showing(self, picture: Picture) -> "View":
        """All of another picture."""
        return View.of(picture, resample=self.resample)

    def cropped(self, part: Box) -> "View":
        """``part`` in pixels of this view."""
        return replace(self, box=part.within(self.box))

    def turned(self, quarters: int) -> "View":
        """Clockwise, by 0 to 3 quarters."""
        if quarters == 0:
            return self
        picture = self.picture.each(lambda frame: frame.transpose(_CLOCKWISE[quarters]))
        box = turned_box(self.box, self.stands_for, quarters)
        return replace(self, picture=picture, stands_for=turned(self.stands_for, quarters * 90), box=box)

    def mirrored(self, sideways: bool) -> "View":
        method = Image.Transpose.FLIP_LEFT_RIGHT if sideways else Image.Transpose.FLIP_TOP_BOTTOM
        picture = self.picture.each(lambda frame: frame.transpose(method))
        return replace(self, picture=picture, box=mirrored_box(self.box, self.stands_for, sideways))

    def resampled(self, part: Box, size: Size) -> Picture:
        """``part``, in pixels of this view, at ``size``."""
        loaded = rescaled(part.within(self.box), self.stands_for, self.picture.size)
        if loaded.size == size:
            # Already at its scale: cutting keeps every pixel, resampling by half a pixel would soften them.
            return self.picture.each(lambda frame: _cut(frame, loaded, size))
        return self.picture.each(lambda frame: self.resample(frame, loaded, size))

    def settled(self) -> Picture:
        """What is shown, and no more."""
        return self.resampled(Box.whole(self.size), self.size)


def _cut(image: Canvas, part: Box, size: Size) -> Canvas:
    if image.size == size:
        return image
    # Both halves of a pixel may be rounded up.
    left, upper = min(round(part.left), image.width - size.width), min(round(part.upper), image.height - size.height)
    return image.crop((left, upper, left + size.width, upper + size.height))
