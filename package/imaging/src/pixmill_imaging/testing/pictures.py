"""Photo-like pictures, the same on every machine: noise of several octaves, with edges and fine lines."""

import io
import random
from typing import Final

from PIL import ExifTags, Image, ImageCms, ImageDraw

#: Cells across the picture, and how much that octave counts: about the 1/f spectrum of photographs.
_OCTAVES: Final = ((5, 1.0), (21, 0.22), (89, 0.14), (377, 0.08), (1597, 0.045))


def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """An RGB picture of the given size in pixels; a red disc in its upper left quarter tells which way is up."""
    source = random.Random(seed)  # noqa: S311 - the same noise each time is the point
    picture = Image.new("RGB", (width, height))
    for cells, weight in _OCTAVES:
        columns, rows = min(cells, width), max(2, min(cells * height // width, height))
        noise = Image.frombytes("RGB", (columns, rows), source.randbytes(columns * rows * 3))
        layer = noise.resize((width, height), Image.Resampling.BICUBIC)
        picture = Image.blend(picture, layer, weight)
    _draw_edges(picture)
    return picture


def jpeg(picture: Image.Image, orientation: int | None = None, **options: object) -> bytes:
    """Quality 90; with an orientation also EXIF with a GPS position, an ICC profile and a comment."""
    buffer = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif[ExifTags.Base.Make] = "Pixmill Camera Works"
        exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        options = {"exif": exif.tobytes(), "icc_profile": profile, "comment": b"pixmill secret", **options}
    picture.save(buffer, "JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


def encoded(picture: Image.Image, pillow_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, pillow_format, **options)
    return buffer.getvalue()


def _draw_edges(picture: Image.Image) -> None:
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width // 10, height // 10, width * 4 // 10, height * 4 // 10), fill=(205, 40, 35))
    draw.rectangle((width * 6 // 10, height * 6 // 10, width * 9 // 10, height * 8 // 10), fill=(40, 90, 190))
    for line in range(12):
        x = width * (55 + 3 * line) // 100
        draw.line((x, height // 20, width - x // 2, height // 2), fill=(245, 245, 240), width=1 + width // 800)
