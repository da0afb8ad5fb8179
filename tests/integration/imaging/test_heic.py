"""HEIC by the extra ``[heif]``: what phones write, through both loaders; without the extra a sentence says so."""

import contextlib
import io
import random
import subprocess
import sys

import pillow_heif
import pytest
from PIL import ExifTags, Image

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError

SIZE = (400, 300)


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def picture():
    return photo(*SIZE, seed=2)


def heic(picture, **options):
    pillow_heif.register_heif_opener()
    return encoded(picture, "HEIF", quality=90, **options)


def made(data, loader, **output):
    operations = [{"op": "resize", "width": 200, "height": 200}]
    recipe = parse_recipe({"outputs": [{"name": "a", "operations": operations, "format": "png", **output}]})
    rendering = render(data, recipe, loader, PixelLimits())
    (rendered,) = rendering.outputs()
    image = Image.open(io.BytesIO(rendered.data))
    image.load()
    return rendering.source, image


def test_heic_of_a_phone_is_read(loader, picture):
    source, image = made(heic(picture), loader)
    assert (source.format, source.width, source.height) == ("heic", *SIZE)
    assert image.size == (200, 150)
    assert ssim(image, picture.resize((200, 150), Image.Resampling.LANCZOS)) >= 0.99


def test_heic_that_lies_on_its_side_is_turned_once(loader, picture):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "secret phone"
    source, image = made(heic(picture, exif=exif.tobytes()), loader)
    upright = picture.transpose(Image.Transpose.ROTATE_270)
    assert (source.width, source.height) == upright.size
    assert image.size == (150, 200)
    assert ssim(image, upright.resize((150, 200), Image.Resampling.LANCZOS)) >= 0.99
    assert not dict(image.getexif())
    _, kept = made(heic(picture, exif=exif.tobytes()), loader, metadata="keep")
    assert kept.getexif()[ExifTags.Base.Make] == "secret phone"
    assert kept.getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_heic_becomes_a_jpeg_where_the_format_is_the_sources(loader, picture):
    _, image = made(heic(picture), loader, format="source")
    assert image.format == "JPEG"


def test_damaged_heic_is_undecodable(loader, picture):
    whole = heic(picture)
    for damaged in (whole[:40], whole[: len(whole) // 2], whole[:200] + bytes(200) + whole[400:]):
        with pytest.raises(PermanentError) as caught:
            made(damaged, loader)
        assert caught.value.code is ErrorCode.UNDECODABLE


@pytest.mark.parametrize("choice", ["vips", "pillow"])
def test_without_the_extra_heic_is_refused_by_name(choice):
    code = (
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'pillow_heif' else find(name, *a)\n"
        "from pixmill_imaging.domain.sniff import sniff\n"
        "from pixmill_imaging.service.loaders import choose_loader, LoaderChoice\n"
        "from pixmill_shared.errors import PermanentError\n"
        r"data = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic'" + "\n"
        "try:\n"
        f"    choose_loader(LoaderChoice('{choice}')).open(data, sniff(data))\n"
        "except PermanentError as error:\n"
        "    print(error.code, error.detail)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout.startswith("unsupported_format The source is a HEIC image, which is not decoded here. Send JPEG")


def test_any_bit_flips_end_in_a_picture_or_a_permanent_error(loader):
    whole = heic(photo(160, 120))
    dice = random.Random("HEIC")
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(min(len(damaged), 700)) if dice.random() < 0.5 else dice.randrange(len(damaged))
            damaged[at] ^= 1 << dice.randrange(8)
        with contextlib.suppress(PermanentError):
            _, image = made(bytes(damaged), loader)
            assert max(image.size) <= 200
