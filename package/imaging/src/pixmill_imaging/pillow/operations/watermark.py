"""Lay an image or a text over the picture. The layer is made once, for all frames."""

from dataclasses import dataclass
from typing import Final, Protocol

from PIL import Image

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.overlay import Spot, horizontal, mark_size, repeated, room, spot
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.text import text_layer
from pixmill_shared.domain.recipe import ImageMark, TextMark, Watermark

#: More tiles than this are joined into larger ones first.
_MOST_SPOTS: Final = 64


class Assets(Protocol):
    """What a recipe needs besides its source."""

    @property
    def fonts(self) -> FontBook: ...

    def natural_size(self, image: ImageMark) -> Size:
        """Of an image, after autorotation; raises PermanentError if it cannot be used."""
        ...

    def canvas(self, image: ImageMark, size: Size) -> Canvas:
        """The image at ``size`` or larger, smaller only where it is so itself; raises as ``natural_size``."""
        ...


@dataclass(frozen=True)
class Overlay:
    """An RGBA layer, and where its upper left corner goes."""

    layer: Canvas
    spots: tuple[Spot, ...]


def prepare(picture: Canvas, step: Watermark, assets: Assets) -> Overlay:
    """Raises PermanentError if an image cannot be used."""
    size = Size(*picture.size)
    layer = _faded(_layer(step, size, assets), step.opacity)
    at = spot(Size(*layer.size), size, step.gravity, step.margin)
    return _tiled(layer, at, size, step.margin) if step.tile else Overlay(layer, (at,))


def overlay(image: Canvas, step: Overlay, _stands_for: Size) -> Canvas:
    """A grey picture becomes RGB. Where the picture is see-through the mark is as opaque as it would be alone."""
    canvas = image.convert("RGB") if image.mode == "L" else image.copy()
    for at in step.spots:
        if canvas.mode == "RGBA":
            below = canvas.crop((*at, at.left + step.layer.width, at.upper + step.layer.height))
            canvas.paste(Image.alpha_composite(below, step.layer), at)
        else:
            canvas.paste(step.layer, at, step.layer)
    return canvas


def _layer(step: Watermark, picture: Size, assets: Assets) -> Canvas:
    mark = step.mark
    if isinstance(mark, TextMark):
        return text_layer(mark, room(picture, step.margin), horizontal(step.gravity), assets.fonts)
    size = mark_size(assets.natural_size(mark), picture, step.margin, step.scale)
    canvas = assets.canvas(mark, size).convert("RGBA")
    return canvas if canvas.size == size else canvas.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _faded(layer: Canvas, opacity: float) -> Canvas:
    if opacity == 1:
        return layer
    faded = layer.copy()
    faded.putalpha(layer.getchannel("A").point(lambda alpha: round(alpha * opacity)))
    return faded


def _tiled(tile: Canvas, at: Spot, picture: Size, gap: int) -> Overlay:
    """The tile on every place of a grid through ``at``. A tile of one pixel on a large picture would be millions of
    places: neighbours are joined, two by two, until they are few.
    """
    across, down = tile.width + gap, tile.height + gap
    columns, rows = repeated(at.left, across, picture.width), repeated(at.upper, down, picture.height)
    while len(columns) * len(rows) > _MOST_SPOTS:
        if len(columns) >= len(rows):
            tile, columns, across = _joined(tile, across, 0), columns[::2], 2 * across
        else:
            tile, rows, down = _joined(tile, 0, down), rows[::2], 2 * down
    return Overlay(tile, tuple(Spot(left, upper) for upper in rows for left in columns))


def _joined(tile: Canvas, across: int, down: int) -> Canvas:
    pair = Image.new("RGBA", (tile.width + across, tile.height + down))
    pair.paste(tile, (0, 0))
    pair.paste(tile, (across, down))
    return pair
