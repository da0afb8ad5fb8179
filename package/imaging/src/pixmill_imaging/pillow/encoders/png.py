"""PNG: lossless, in the smallest mode that holds every pixel exactly."""

import sys
from dataclasses import replace
from typing import Final, cast

from PIL import Image, PngImagePlugin

from pixmill_imaging.domain.metadata import Metadata
from pixmill_imaging.pillow.canvas import Canvas
from pixmill_imaging.pillow.encoders.encoding import Encoding, is_opaque, saved, saved_frames
from pixmill_imaging.pillow.picture import Picture

_Rgba = tuple[int, int, int, int]

_COLOURS: Final = 256
#: Up to here an index takes half a byte or less, and grey a whole one.
_PACKED: Final = 16
#: Level 6 of zlib-ng takes three times the CPU of 1, for 15 % fewer bytes; 9 is no smaller.
_LEVEL: Final = 6
_EXACT: Final = 65_535


def encode_png(picture: Picture, how: Encoding) -> bytes:
    if picture.is_animated:
        return _animated(picture, how)
    image = picture.frames[0]
    if is_opaque(image) and image.mode == "RGBA":
        image = image.convert("RGB")
    return saved(_compact(image), "PNG", compress_level=_LEVEL, **_chunks(how.metadata))


def _animated(picture: Picture, how: Encoding) -> bytes:
    # Durations are fractions of 16 bits: beyond a minute there is no room for milliseconds.
    durations = tuple(ms if ms <= _EXACT else round(ms, -1) for ms in picture.durations)
    exact = replace(picture, durations=durations)
    return saved_frames(exact, "PNG", compress_level=_LEVEL, disposal=0, blend=0, **_chunks(how.metadata))


def _compact(image: Canvas) -> Image.Image:
    """The same pixels as grey or with a palette, if there are few enough colours."""
    if image.mode == "L" or image.getcolors(_COLOURS) is None:
        return image
    rgba = image.convert("RGBA")
    counted = cast(list[tuple[int, _Rgba]], rgba.getcolors(_COLOURS))
    # What can be seen through comes first, so that the chunk of alpha values ends early.
    colours = sorted((colour for _, colour in counted), key=lambda colour: (colour[3], colour))
    is_grey = all(red == green == blue and alpha == 255 for red, green, blue, alpha in colours)
    return image.convert("L") if is_grey and len(colours) > _PACKED else _indexed(rgba, colours)


def _indexed(rgba: Canvas, colours: list[_Rgba]) -> Image.Image:
    """Pillow's own quantisers are not exact at any number of colours."""
    index = {int.from_bytes(bytes(colour), sys.byteorder): at for at, colour in enumerate(colours)}
    pixels = memoryview(rgba.tobytes()).cast("I")
    indexed = Image.frombytes("P", rgba.size, bytes(map(index.__getitem__, pixels)))
    indexed.putpalette([sample for colour in colours for sample in colour[:3]])
    alphas = bytes(colour[3] for colour in colours if colour[3] < 255)
    if alphas:
        indexed.info["transparency"] = alphas
    return indexed


def _chunks(metadata: Metadata) -> dict[str, object]:
    chunks = PngImagePlugin.PngInfo()
    if metadata.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8"))
    if metadata.comment:
        chunks.add_itxt("Comment", metadata.comment.decode("utf-8", "replace"))
    return {"pnginfo": chunks, **({"exif": metadata.exif} if metadata.exif else {})}
