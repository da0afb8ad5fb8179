"""Colour, by both loaders: each source against the whole picture decoded and converted by LittleCMS, then scaled."""

import io
import struct
import zlib

import pytest
import pyvips
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageStat

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.colour import is_srgb
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, photo
from pixmill_imaging.testing.profiles import adobe_rgb, display_p3, grey_gamma, nearly_srgb
from pixmill_shared.domain.recipe import parse_recipe

SRGB = ImageCms.createProfile("sRGB")
#: The one that libvips brings; it is for tests only.
CMYK_PROFILE = bytes(pyvips.Image.profile_load("cmyk"))
WIDTH = 200


@pytest.fixture(scope="module", params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def small():
    return photo(400, 300, seed=2)


def made(data, loader, width=WIDTH, **output):
    operations = [{"op": "resize", "width": width}]
    recipe = parse_recipe({"outputs": [{"name": "a", "operations": operations, "format": "png", **output}]})
    (rendered,) = render(data, recipe, loader, PixelLimits()).outputs()
    image = Image.open(io.BytesIO(rendered.data))
    image.load()
    assert "icc_profile" not in image.info
    return image


def converted(image, profile):
    return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode="RGB")


def difference(one, other):
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def on_grey(image):
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def check(data, loader, reference, tolerance=1.0):
    image = made(data, loader)
    expected = reference.convert("RGB").resize(image.size, Image.Resampling.LANCZOS)
    assert difference(image, expected) < tolerance
    assert ssim(image.convert("RGB"), expected) >= 0.995


@pytest.mark.parametrize("profile", [display_p3(), adobe_rgb()], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize(
    ("pillow_format", "options", "tolerance"),
    [
        ("PNG", {}, 1.5),
        ("JPEG", {"quality": 97, "subsampling": 0}, 2),
        ("WEBP", {"lossless": True}, 1.5),
        ("AVIF", {"quality": 97, "subsampling": "4:4:4", "speed": 9}, 2.5),
        ("TIFF", {}, 1.5),
    ],
)
def test_wide_colours_become_srgb(small, loader, profile, pillow_format, options, tolerance):
    reference = converted(small, profile)
    assert difference(reference, small) > 3
    check(encoded(small, pillow_format, icc_profile=profile, **options), loader, reference, tolerance)


def test_lab_is_read_by_either_loader(small, loader):
    lab = ImageCms.profileToProfile(small, SRGB, ImageCms.createProfile("LAB"), outputMode="LAB")
    check(encoded(lab, "TIFF"), loader, small, 2)


@pytest.mark.parametrize("kind", ["int", "uint"])
def test_whole_samples_of_32_bits_count_up_to_16(small, loader, kind):
    grey = small.convert("L")
    pixels = pyvips.Image.new_from_memory(grey.tobytes(), *grey.size, 1, "uchar")
    check(bytes((pixels * 257).cast(kind).tiffsave_buffer()), loader, grey)
    # Beyond, half of it in the bit that is the sign for Pillow, it is white.
    beyond = (pixels.cast("uint") * 0 + (0xF0000000 if kind == "uint" else 0x70000000)).cast(kind)
    assert made(bytes(beyond.tiffsave_buffer()), loader).convert("L").getextrema() == (255, 255)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 1), ("RGB", 2), ("CMYK", 1), ("CMYK", 2)])
def test_channel_of_a_tiff_that_no_word_is_said_of_is_no_alpha(small, loader, mode, channels):
    """A spot colour, or a mask of the program that wrote it."""
    image = small.convert(mode)
    name = {"L": "b-w", "RGB": "srgb", "CMYK": "cmyk"}[mode]
    pixels = pyvips.Image.new_from_memory(image.tobytes(), *image.size, len(mode), "uchar").copy(interpretation=name)
    ramp = Image.linear_gradient("L").resize(image.size)
    for _ in range(channels):
        pixels = pixels.bandjoin(pyvips.Image.new_from_memory(ramp.tobytes(), *ramp.size, 1, "uchar"))
    check(of_no_meaning(pixels.tiffsave_buffer()), loader, image)
    assert made(of_no_meaning(pixels.tiffsave_buffer()), loader).mode == ("L" if mode == "L" else "RGB")


def of_no_meaning(tiff):
    """The same with 0 for what its further channels are."""
    data = bytearray(tiff)
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    places = range(directory + 2, directory + 2 + 12 * count, 12)
    place = next(place for place in places if struct.unpack_from("<H", data, place) == (338,))
    struct.pack_into("<HH", data, place + 8, 0, 0)
    return bytes(data)


def test_profile_of_srgb_is_known_by_what_it_does():
    srgb = ImageCms.ImageCmsProfile(SRGB).tobytes()
    assert is_srgb(srgb)
    assert is_srgb(bytes(pyvips.Image.profile_load("srgb")))
    for other in (
        display_p3(),
        adobe_rgb(),
        nearly_srgb(2.2),
        CMYK_PROFILE,
        grey_gamma(2.2),
        b"",
        b"no profile",
        srgb[:300],
    ):
        assert not is_srgb(other)
    assert not is_srgb(srgb + bytes(70_000))


def test_srgb_picture_with_its_profile_comes_out_as_without(small, loader):
    srgb = ImageCms.ImageCmsProfile(SRGB).tobytes()
    for image in (small, small.convert("RGBA")):
        tagged = made(encoded(image, "PNG", icc_profile=srgb), loader)
        assert tagged.tobytes() == made(encoded(image, "PNG"), loader).tobytes()


def test_saturated_colours_of_wide_spaces_are_the_nearest_of_srgb(loader):
    """By the matrices of CSS Color 4; P3's red is beyond sRGB, grey is the same in both."""
    colours = {(255, 0, 0): (255, 0, 0), (128, 128, 128): (128, 128, 128), (50, 160, 70): (0, 163, 56)}
    for colour, expected in colours.items():
        image = made(encoded(Image.new("RGB", (64, 64), colour), "PNG", icc_profile=display_p3()), loader)
        found = image.convert("RGB").getpixel((30, 30))
        assert all(abs(a - b) <= 1 for a, b in zip(found, expected, strict=True)), (colour, found)


def test_grey_profile_is_heeded(small, loader):
    grey, profile = small.convert("L"), grey_gamma(1.0)
    reference = converted(grey, profile)
    assert difference(reference, grey) > 30
    check(encoded(grey, "PNG", icc_profile=profile), loader, reference)
    check(encoded(grey, "JPEG", quality=97, icc_profile=profile), loader, reference, 2)


def test_palette_with_a_profile_is_converted(small, loader):
    indexed = small.quantize(64)
    data = encoded(indexed, "PNG", icc_profile=display_p3())
    check(data, loader, converted(indexed.convert("RGB"), display_p3()), 1.5)


def test_alpha_stays_as_it_is_beside_a_profile(small, loader):
    veiled = small.convert("RGBA")
    veiled.putalpha(Image.linear_gradient("L").resize(small.size))
    image = made(encoded(veiled, "PNG", icc_profile=display_p3()), loader)
    expected = converted(small, display_p3()).convert("RGBA")
    expected.putalpha(veiled.getchannel("A"))
    expected = expected.resize(image.size, Image.Resampling.LANCZOS)
    assert difference(on_grey(image), on_grey(expected)) < 1.5
    assert difference(image.getchannel("A"), expected.getchannel("A")) < 1


def cmyk_sources(inks):
    jpeg = {"quality": 97, "subsampling": 0}
    return {
        "jpeg": encoded(inks, "JPEG", **jpeg),
        "jpeg with a profile of another space": encoded(inks, "JPEG", **jpeg, icc_profile=display_p3()),
        "jpeg with a broken profile": encoded(inks, "JPEG", **jpeg, icc_profile=b"junk" * 50),
        "tiff": encoded(inks, "TIFF"),
    }


@pytest.mark.parametrize("kind", list(cmyk_sources(Image.new("CMYK", (8, 8)))))
def test_cmyk_that_says_nothing_of_itself_is_what_its_inks_let_through(small, loader, kind):
    inks = small.convert("CMYK")
    check(cmyk_sources(inks)[kind], loader, inks.convert("RGB"))


@pytest.mark.parametrize("pillow_format", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(small, loader, pillow_format):
    inks = small.convert("CMYK")
    reference = converted(inks, CMYK_PROFILE)
    assert difference(reference, inks.convert("RGB")) > 10
    data = encoded(
        inks, pillow_format, icc_profile=CMYK_PROFILE, **({"quality": 97} if pillow_format == "JPEG" else {})
    )
    check(data, loader, reference, 1.5)


def test_large_cmyk_on_its_side_is_shrunk_while_it_is_loaded_and_turned(loader):
    inks = photo(1500, 1000, seed=4).convert("CMYK")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(inks, "JPEG", quality=95, exif=exif.tobytes())
    image = made(data, loader, width=100)
    expected = inks.convert("RGB").transpose(Image.Transpose.ROTATE_270).resize((100, 150), Image.Resampling.LANCZOS)
    assert image.size == (100, 150)
    assert ssim(image, expected) >= 0.995
    assert difference(image, expected) < 1


def test_adobe_marker_is_of_no_account(small, loader):
    """Without it browsers, libvips and Pillow take the samples for inverted all the same."""
    data = encoded(small.convert("CMYK"), "JPEG", quality=97, subsampling=0)
    at = data.index(b"\xff\xee")
    bare = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    assert b"Adobe" in data
    assert b"Adobe" not in bare
    check(bare, loader, small.convert("CMYK").convert("RGB"))


@pytest.mark.parametrize("profile", [b"no profile at all" * 20, b"", CMYK_PROFILE, grey_gamma(1.8), display_p3()[:200]])
def test_profile_that_cannot_be_used_spoils_nothing(small, loader, profile):
    check(encoded(small, "PNG", icc_profile=profile), loader, small)
    check(encoded(small, "JPEG", quality=97, subsampling=0, icc_profile=profile), loader, small, 2)


def sixteen_bits(image):
    """A PNG whose low bytes are noise that rounds away."""
    kinds = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    step = image.width * len(image.mode)
    pixels = image.tobytes()
    rows = (pixels[at : at + step] for at in range(0, len(pixels), step))
    body = b"".join(b"\0" + bytes(byte for sample in row for byte in (sample, sample // 2)) for row in rows)
    header = struct.pack(">IIBBBBB", *image.size, 16, kinds[image.mode], 0, 0, 0)
    packed = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + packed


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_sixteen_bits_keep_their_upper_eight(small, loader, mode):
    image = small.convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    shown = made(sixteen_bits(image), loader)
    expected = image.convert("RGBA").resize(shown.size, Image.Resampling.LANCZOS)
    assert difference(on_grey(shown), on_grey(expected)) < 1
    assert shown.convert("RGBA").getchannel("A").getextrema() == pytest.approx(
        expected.getchannel("A").getextrema(), abs=2
    )


def test_sixteen_bit_tiff_is_as_bright_as_it_was(small, loader):
    grey = small.convert("L")
    deep = grey.convert("I").point(lambda sample: sample * 257).convert("I;16")
    check(encoded(deep, "TIFF"), loader, grey)


def test_what_can_be_seen_through_is_white_in_a_jpeg(loader):
    veiled = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    veiled.paste((0, 0, 200, 128), (0, 0, 32, 64))
    for source in (encoded(veiled, "PNG"), encoded(veiled.quantize(8), "PNG"), encoded(veiled, "TIFF")):
        image = made(source, loader, format="jpeg", quality=95)
        assert all(sample > 250 for sample in image.getpixel((50, 32)))
        red, green, blue = image.getpixel((12, 32))
        assert abs(red - 127) < 8
        assert abs(green - 127) < 8
        assert blue > 215


def test_loaders_agree_on_every_space(small):
    vips, pillow = (choose_loader(LoaderChoice(name)) for name in ("vips", "pillow"))
    inks = small.convert("CMYK")
    for data in (
        encoded(small, "PNG", icc_profile=display_p3()),
        encoded(small, "JPEG", icc_profile=adobe_rgb()),
        encoded(inks, "JPEG", icc_profile=CMYK_PROFILE),
        *cmyk_sources(inks).values(),
    ):
        one, other = made(data, vips), made(data, pillow)
        assert ssim(one, other) >= 0.995
        means = zip(ImageStat.Stat(one).mean, ImageStat.Stat(other).mean, strict=True)
        assert max(abs(a - b) for a, b in means) < 0.5
