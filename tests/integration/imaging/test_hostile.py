"""Damaged and hostile bytes: always a permanent error that a person understands, or a picture, never anything else."""

import random
import struct
import zlib

import pytest
from PIL import Image
from tests.fuzz.corpus import tiff_that_ends

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe, process_recipe
from pixmill_shared.errors import PermanentError

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def small():
    return photo(160, 120)


def refusal(data, loader, limits=PixelLimits(), recipe=None):  # noqa: B008 - frozen
    with pytest.raises(PermanentError) as caught:
        list(render(data, recipe or process_recipe(64, 64), loader, limits).outputs())
    assert caught.value.detail[0].isupper()
    assert caught.value.detail.endswith(".")
    return caught.value


def outcome(data, loader):
    try:
        return [output.name for output in render(data, process_recipe(64, 64), loader, PixelLimits()).outputs()]
    except PermanentError as error:
        return error.code


@pytest.mark.parametrize("part", [0.03, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_undecodable_at_every_shrink(loader, part, progressive):
    whole = jpeg(photo(1200, 900), orientation=6, progressive=progressive)
    for box in (1200, 300, 64):
        recipe = process_recipe(box, box)
        assert refusal(whole[: int(len(whole) * part)], loader, recipe=recipe).code is ErrorCode.UNDECODABLE


@pytest.mark.parametrize("pillow_format", FORMATS)
def test_every_format_cut_in_half_is_undecodable(small, loader, pillow_format):
    whole = encoded(small, pillow_format)
    assert refusal(whole[: len(whole) // 2], loader).code is ErrorCode.UNDECODABLE


@pytest.mark.parametrize("pillow_format", FORMATS)
def test_any_truncation_ends_in_a_picture_or_a_permanent_error(small, loader, pillow_format):
    whole = encoded(small, pillow_format)
    accepted = ([process_recipe().outputs[0].name], ErrorCode.UNDECODABLE, ErrorCode.UNSUPPORTED_FORMAT)
    for end in (*range(0, 64, 3), *range(64, len(whole), max(1, len(whole) // 25)), len(whole) - 1):
        assert outcome(whole[:end], loader) in accepted


@pytest.mark.parametrize("pillow_format", FORMATS)
def test_any_bit_flips_end_in_a_picture_or_a_permanent_error(small, loader, pillow_format):
    whole = encoded(small, pillow_format)
    dice = random.Random(pillow_format)
    accepted = (["result"], *ErrorCode)
    for _ in range(60):
        damaged = bytearray(whole)
        # Headers are where decoders are led astray, so half of the flips are there.
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(min(len(damaged), 200)) if dice.random() < 0.5 else dice.randrange(len(damaged))
            damaged[at] ^= 1 << dice.randrange(8)
        assert outcome(bytes(damaged), loader) in accepted


@pytest.mark.parametrize(
    ("data", "word"),
    [(b"", "empty"), (b"not a picture, just words\n", "text"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG")],
)
def test_what_is_no_picture_is_unsupported(loader, data, word):
    error = refusal(data, loader)
    assert error.code is ErrorCode.UNSUPPORTED_FORMAT
    assert word in error.detail


@pytest.mark.parametrize("magic", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\0\0\0WEBP", b"II*\0"])
def test_magic_bytes_before_a_script_are_undecodable(loader, magic):
    assert refusal(magic + b"<svg onload='alert(1)'/>" * 20, loader).code is ErrorCode.UNDECODABLE


def png_header(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_that_claims(width, height):
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_that_claims(width, height):
    data = bytearray(encoded(Image.new("L", (16, 16)), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp_that_claims(width, height):
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def avif_that_claims(width, height):
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


@pytest.mark.parametrize("claim", [png_header, jpeg_that_claims, bmp_that_claims])
def test_bomb_is_refused_by_its_header(loader, claim):
    error = refusal(claim(20_000, 20_000), loader)
    assert error.code is ErrorCode.TOO_MANY_PIXELS
    assert "20000x20000" in error.detail
    assert "100000000" in error.detail


def test_gif_of_a_huge_screen_is_refused_or_read_as_its_only_small_frame(loader):
    assert outcome(gif_that_claims(20_000, 20_000), loader) in (ErrorCode.TOO_MANY_PIXELS, ["result"])


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b""])
def test_broken_exif_spoils_nothing(small, loader, exif):
    for pillow_format in ("JPEG", "PNG", "WEBP"):
        assert outcome(encoded(small, pillow_format, exif=exif), loader) == ["result"]


def test_avif_that_lies_about_its_size_is_refused(loader):
    assert outcome(avif_that_claims(32_768, 32_768), loader) in (ErrorCode.TOO_MANY_PIXELS, ErrorCode.UNDECODABLE)


@pytest.mark.parametrize("claim", [png_header, jpeg_that_claims, bmp_that_claims])
def test_picture_without_a_pixel_is_undecodable(loader, claim):
    assert refusal(claim(0, 0), loader).code is ErrorCode.UNDECODABLE


def test_limit_counts_the_source_as_it_is_before_decoding(small, loader):
    data = encoded(small, "PNG")
    assert refusal(data, loader, PixelLimits(source=160 * 120 - 1)).code is ErrorCode.TOO_MANY_PIXELS
    assert list(render(data, process_recipe(64, 64), loader, PixelLimits(source=160 * 120)).outputs())


def test_output_beyond_the_limit_is_refused_before_anything_is_decoded(small, loader):
    wide = {"op": "resize", "width": 4000, "height": 4000, "mode": "exact"}
    narrow = {"op": "resize", "width": 8}
    recipe = parse_recipe({"outputs": [{"name": "huge", "operations": [narrow, wide, narrow]}]})
    with pytest.raises(PermanentError) as caught:
        render(encoded(small, "PNG"), recipe, loader, PixelLimits(output=15_999_999))
    assert caught.value.code is ErrorCode.TOO_MANY_PIXELS
    assert "huge" in caught.value.detail


def test_tiff_whose_directory_is_longer_than_the_file_is_refused_or_made_and_nothing_else(loader):
    data = tiff_that_ends("<", 13)
    if loader.name == "vips":
        assert refusal(data, loader).code is ErrorCode.UNDECODABLE
    else:
        assert outcome(data, loader) == ["result"]
