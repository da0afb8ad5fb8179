"""The engines that are compared: what people write by hand, the library alone, and pixmill."""

import io
from collections.abc import Callable

from PIL import Image, ImageOps

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded
from pixmill_shared.domain.recipe import Blur, Operation, Output, OutputFormat, Recipe, Resize

BOX = (800, 600)
QUALITY = 80
BLUR = 2.0

Engine = Callable[[bytes], bytes]


def naive_pillow(data: bytes) -> bytes:
    """Open, turn, resize, save."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    return encoded(ImageOps.contain(image, BOX, Image.Resampling.LANCZOS), "JPEG", quality=QUALITY)


def pillow_draft(data: bytes) -> bytes:
    """Pillow at its best: shrink while decoding JPEG, box reduction before Lanczos."""
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (BOX[0] * 2, BOX[1] * 2))
    image.thumbnail((max(BOX), max(BOX)), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image = ImageOps.exif_transpose(image).convert("RGB")
    return encoded(ImageOps.contain(image, BOX, Image.Resampling.LANCZOS), "JPEG", quality=QUALITY)


def bare_vips(data: bytes, blur: float = 0) -> bytes:
    """libvips from bytes to bytes, with what makes it right: profile to sRGB, upright, nothing but pixels."""
    import pyvips

    profile = pyvips.Image.new_from_buffer(data, "").get_typeof("icc-profile-data")
    colour = {"output_profile": "srgb"} if profile else {}
    image = pyvips.Image.thumbnail_buffer(data, BOX[0], height=BOX[1], size="down", **colour)
    image = image.gaussblur(blur) if blur else image
    image = image.flatten(background=255) if image.hasalpha() else image
    made: bytes = image.jpegsave_buffer(Q=QUALITY, keep="none")
    return made


def bare_vips_blurred(data: bytes) -> bytes:
    return bare_vips(data, BLUR)


def pixmill(choice: LoaderChoice, *widths: int, blur: float = 0) -> Engine:
    """One render with an output a width, 4 to 3; gives the last output's bytes."""
    loader = choose_loader(choice)
    outputs = tuple(_output(width, blur) for width in widths or (BOX[0],))

    def run(data: bytes) -> bytes:
        return list(render(data, Recipe(outputs), loader, PixelLimits()).outputs())[-1].data

    return run


def _output(width: int, blur: float) -> Output:
    steps: tuple[Operation, ...] = (Resize(width, width * 3 // 4), *((Blur(blur),) if blur else ()))
    return Output(f"w{width}", steps, OutputFormat.JPEG, quality=QUALITY)
