"""Whole renders, by both loaders: exact geometry, the look of the full-size reference, nothing left of metadata."""

import io

import pytest
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageStat

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_shared.domain.recipe import parse_recipe, process_recipe

UPRIGHT_SIZE = (4000, 3000)
RED, BLUE = (205, 40, 35), (40, 90, 190)
ASPECT_SMALL = (400, 300)
FAST = {"format": "jpeg", "quality": 100}
"""For many large outputs whose size and look are asked for: most of a PNG's time is its compression."""


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def upright():
    return photo(*UPRIGHT_SIZE)


@pytest.fixture(scope="module")
def sideways_jpeg(upright):
    """12 megapixels as a camera held upright stores them: orientation 6, to be turned by 90 degrees clockwise."""
    return jpeg(upright.transpose(Image.Transpose.ROTATE_90), orientation=6)


@pytest.fixture(scope="module")
def reference(sideways_jpeg):
    return Image.open(io.BytesIO(sideways_jpeg)).convert("RGB").transpose(Image.Transpose.ROTATE_270)


@pytest.fixture(scope="module")
def small():
    return photo(*ASPECT_SMALL, seed=2)


def step(width=None, height=None, **more):
    sides = {key: value for key, value in (("width", width), ("height", height)) if value}
    return {"op": "resize", **sides, **more}


def outputs(data, loader, *specs, limits=PixelLimits()):  # noqa: B008 - frozen
    named = [{"name": f"o{i}", "format": "png", **spec} for i, spec in enumerate(specs)]
    return list(render(data, parse_recipe({"outputs": named}), loader, limits).outputs())


def picture(rendered):
    image = Image.open(io.BytesIO(rendered.data))
    image.load()
    assert image.size == (rendered.width, rendered.height)
    return image


def one(data, loader, *operations, **more):
    return picture(outputs(data, loader, {"operations": list(operations), **more})[0])


def colour_at(image, x, y):
    """The mean of 5x5 pixels at a place given in parts of the width and height."""
    left, upper = int(image.width * x) - 2, int(image.height * y) - 2
    return ImageStat.Stat(image.convert("RGB").crop((left, upper, left + 5, upper + 5))).mean


def close(one, other, tolerance=6.0):
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def difference(one, other):
    """The mean absolute difference of a sample, from 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def test_sideways_12_megapixels_come_out_upright_in_the_box(sideways_jpeg, reference, loader):
    rendering = render(sideways_jpeg, process_recipe(800, 600), loader, PixelLimits())
    assert (rendering.source.width, rendering.source.height) == UPRIGHT_SIZE
    assert (rendering.source.format, rendering.source.bytes) == ("jpeg", len(sideways_jpeg))
    (rendered,) = rendering.outputs()
    assert (rendered.format, rendered.extension, rendered.media_type) == ("jpeg", "jpg", "image/jpeg")
    image = picture(rendered)
    assert image.size == (800, 600)
    assert close(colour_at(image, 0.25, 0.25), RED)
    assert close(colour_at(image, 0.75, 0.70), BLUE)
    assert ssim(one(sideways_jpeg, loader, step(800, 600)), lanczos(reference, 800, 600)) >= 0.995


def lanczos(reference, width, height):
    return reference.resize((width, height), Image.Resampling.LANCZOS)


def test_outputs_of_one_decode_look_as_if_each_had_its_own(sideways_jpeg, reference, loader):
    sizes = [(1600, 1200), (1500, 1125), (800, 600), (333, 250), (200, 150)]
    made = outputs(sideways_jpeg, loader, *({**FAST, "operations": [step(width=width)]} for width, _ in sizes))
    assert [(output.width, output.height) for output in made] == sizes
    for output in made:
        assert ssim(picture(output), lanczos(reference, output.width, output.height)) >= 0.995


def test_small_outputs_of_many_look_as_if_made_from_the_whole(sideways_jpeg, reference, loader):
    """Each is made of the next that is twice as large, whatever their order in the recipe."""
    sizes = [(75, 56), (1600, 1200), (150, 113), (300, 225), (600, 450), (3200, 2400), (640, 480)]
    made = outputs(sideways_jpeg, loader, *({**FAST, "operations": [step(width=width)]} for width, _ in sizes))
    assert [(output.width, output.height) for output in made] == sizes
    for output in made:
        assert ssim(picture(output), lanczos(reference, output.width, output.height)) >= 0.995


def test_fill_is_the_same_alone_and_beside_a_larger_output(sideways_jpeg, loader):
    fill = {"operations": [step(300, 300, mode="fill", gravity="east")]}
    (alone,) = outputs(sideways_jpeg, loader, fill)
    _, beside = outputs(sideways_jpeg, loader, {"operations": [step(width=1600)]}, fill)
    assert ssim(picture(alone), picture(beside)) >= 0.995


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pixels_that_are_there_are_scaled_to_the_exact_size(loader, mode):
    """A resize behind a filter is done on what is there: by libvips where that is faster."""
    original = photo(700, 500, seed=4).convert(mode)
    if mode == "RGBA":
        original.putalpha(Image.linear_gradient("L").resize(original.size))
    for width, height in [(699, 499), (351, 250), (176, 126), (90, 499), (700, 70), (3, 2)]:
        blur = {"op": "filter", "name": "blur", "sigma": 0.1}
        made = one(encoded(original, "PNG"), loader, blur, step(width, height, mode="exact"))
        expected = lanczos(original, width, height)
        assert made.size == expected.size
        if min(made.size) >= 8:
            assert ssim(over_grey(made), over_grey(expected)) >= 0.995


def over_grey(image):
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def test_fill_and_exact_have_the_size_that_was_asked_for(sideways_jpeg, reference, loader):
    fill, exact = outputs(
        sideways_jpeg,
        loader,
        {"operations": [step(600, 600, mode="fill")]},
        {"operations": [step(500, 640, mode="exact")]},
    )
    square = reference.crop((500, 0, 3500, 3000))
    assert ssim(picture(fill), lanczos(square, 600, 600)) >= 0.995
    assert ssim(picture(exact), lanczos(reference, 500, 640)) >= 0.995


LOSSLESS = {"WEBP": {"lossless": True, "method": 0}, "JPEG": {"quality": 95, "subsampling": 0}}


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("source_format", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_every_orientation_comes_out_upright(small, loader, source_format, orientation):
    """0 and 9 are not orientations: the picture stays as it is stored."""
    stored_as = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    turn = {index: Image.Transpose(value) for index, value in stored_as.items()}.get(orientation)
    stored = small.transpose(turn) if turn is not None else small
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(stored, source_format, exif=exif, **LOSSLESS.get(source_format, {}))
    recipe = parse_recipe({"outputs": [{"name": "o", "operations": [step(200, 200)], "format": "png"}]})
    rendering = render(data, recipe, loader, PixelLimits())
    assert (rendering.source.width, rendering.source.height) == small.size
    image = picture(next(iter(rendering.outputs())))
    assert image.size == (200, 150)
    assert ssim(image, small.resize((200, 150), Image.Resampling.LANCZOS)) >= 0.98


@pytest.mark.parametrize("size", [(4001, 2999), (1023, 767), (37, 1999), (5, 3)])
def test_both_loaders_give_the_same_geometry(size):
    data = encoded(Image.new("RGB", size, RED), "JPEG")
    specs = [
        {"operations": [step(width=333)]},
        {"operations": [step(height=97)]},
        {"operations": [step(640, 480)]},
        {"operations": [step(640, 480, mode="fill")]},
        {"operations": [step(640, 480, mode="fill", enlarge=True), step(31, 31)]},
        {"operations": [step(77, 99, mode="exact")]},
    ]
    made = [outputs(data, choose_loader(LoaderChoice(name)), *specs) for name in ("vips", "pillow")]
    alone = [outputs(data, choose_loader(LoaderChoice.PILLOW), spec)[0] for spec in specs]
    sizes = [[(output.width, output.height) for output in outputs] for outputs in (*made, alone)]
    assert sizes[0] == sizes[1] == sizes[2]


def test_small_source_is_not_enlarged_unasked(small, loader):
    data = encoded(small, "PNG")
    assert difference(one(data, loader, step(800, 800)), small) == 0
    assert one(data, loader, step(800, 800, enlarge=True)).size == (800, 600)


def test_operations_run_in_the_recipes_order(small, loader):
    data = encoded(small, "PNG")
    blur = {"op": "filter", "name": "blur", "sigma": 8}
    before, after = one(data, loader, blur, step(100, 75)), one(data, loader, step(100, 75), blur)
    assert before.size == after.size == (100, 75)
    # Eight pixels of the whole are two of the small one, so the first keeps far more of the edges.
    assert deviation(before) > 1.2 * deviation(after)


def deviation(image):
    return ImageStat.Stat(image.convert("L")).stddev[0]


def test_filters_do_what_their_names_say(small, loader):
    data = encoded(small, "PNG")
    grey = one(data, loader, {"op": "filter", "name": "grayscale"})
    assert difference(grey, small.convert("L")) < 1
    plain = one(data, loader)
    sharp = one(data, loader, {"op": "filter", "name": "sharpen", "amount": 2})
    soft = one(data, loader, {"op": "filter", "name": "blur"})
    assert deviation(soft) < deviation(plain) < deviation(sharp)


def test_alpha_survives_resize_and_filters(small, loader):
    see_through = small.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(small.size))
    for operation in ("grayscale", "blur", "sharpen"):
        image = one(encoded(see_through, "PNG"), loader, step(200, 200), {"op": "filter", "name": operation})
        assert image.mode == "RGBA"
        expected = see_through.getchannel("A").resize((200, 150), Image.Resampling.LANCZOS)
        assert difference(image.getchannel("A"), expected) < 2


def sources(small):
    see_through = small.convert("RGBA")
    see_through.putalpha(Image.radial_gradient("L").resize(small.size).point(lambda a: 255 if a < 128 else 0))
    palette = small.quantize(64)
    deep = small.convert("L").convert("I").point(lambda sample: sample * 257).convert("I;16")
    veiled_grey = small.convert("LA")
    veiled_grey.putalpha(see_through.getchannel("A"))
    frames = {"save_all": True, "append_images": [Image.new("RGB", small.size, BLUE)]}
    return {
        "jpeg": (encoded(small, "JPEG", quality=95), small),
        "progressive jpeg": (encoded(small, "JPEG", quality=95, progressive=True), small),
        "grey jpeg": (encoded(small.convert("L"), "JPEG", quality=95), small.convert("L")),
        "png": (encoded(small, "PNG"), small),
        "png, 16 bits": (encoded(deep, "PNG"), small.convert("L")),
        "png, 1 bit": (encoded(small.convert("1"), "PNG"), small.convert("1")),
        "png, grey and alpha": (encoded(veiled_grey, "PNG"), veiled_grey),
        "png, palette": (encoded(palette, "PNG"), palette),
        "webp": (encoded(small, "WEBP", quality=95), small),
        "avif": (encoded(small, "AVIF", quality=90, speed=9), small),
        "gif, animated": (encoded(palette, "GIF", **frames), palette),
        "tiff": (encoded(small, "TIFF"), small),
        "bmp": (encoded(small, "BMP"), small),
        "png, alpha": (encoded(see_through, "PNG"), see_through),
        "png, palette and alpha": (encoded(see_through.quantize(64), "PNG"), see_through),
        "webp, alpha": (encoded(see_through, "WEBP", lossless=True), see_through),
        "avif, alpha": (encoded(see_through, "AVIF", quality=90, speed=9), see_through),
        "gif, alpha": (encoded(see_through, "GIF"), see_through),
    }


def on_grey(image):
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def test_every_source_format_is_read_and_looks_right(small, loader):
    for kind, (data, original) in sources(small).items():
        image = one(data, loader, step(200, 200))
        if image.mode == "P":
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        assert image.mode in ("L", "RGB", "RGBA"), kind
        assert ("alpha" in kind) <= (image.mode == "RGBA"), kind
        whole = original.convert("RGBA" if image.mode == "RGBA" else "RGB")
        expected = whole.resize((200, 150), Image.Resampling.LANCZOS)
        assert difference(on_grey(image), on_grey(expected)) < 4, kind


def test_cmyk_keeps_its_colours(small, loader):
    image = one(encoded(small.convert("CMYK"), "JPEG", quality=95), loader, step(200, 200))
    assert image.mode == "RGB"
    red, green, blue = colour_at(image, 0.25, 0.25)
    assert red > 150
    assert max(green, blue) < 100
    red, green, blue = colour_at(image, 0.75, 0.7)
    assert blue > 130
    assert red < 100


def test_profile_is_converted_to_srgb_by_both_loaders_alike(small):
    """A profile whose green and red are swapped shows whether it was heeded."""
    swapped = with_swapped_primaries()
    data = encoded(small, "PNG", icc_profile=swapped)
    vips, pillow = (one(data, choose_loader(LoaderChoice(name)), step(200, 200)) for name in ("vips", "pillow"))
    assert difference(vips, pillow) < 3
    red, green, _ = colour_at(vips, 0.25, 0.25)
    assert green > red + 50


def with_swapped_primaries():
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red], profile[green] = profile[green], profile[red]
    return bytes(profile)


def test_broken_profile_spoils_nothing(small, loader):
    image = one(encoded(small, "PNG", icc_profile=b"no profile at all" * 20), loader, step(200, 200))
    assert difference(image, small.resize((200, 150), Image.Resampling.LANCZOS)) < 2


@pytest.mark.parametrize("output_format", ["jpeg", "png", "webp", "avif", "gif"])
def test_no_metadata_is_left_in_any_output(small, loader, output_format):
    data = jpeg(small, orientation=1, xmp=b"<x:xmpmeta>pixmill xmp</x:xmpmeta>")
    assert b"Pixmill Camera Works" in data
    (rendered,) = outputs(data, loader, {"format": output_format})
    image = picture(rendered)
    assert image.format.lower() == output_format
    assert not dict(image.getexif())
    assert {"exif", "icc_profile", "comment", "xmp", "XML:com.adobe.xmp"}.isdisjoint(image.info)
    for secret in (b"Pixmill", b"pixmill", b"Exif", b"ICC_PROFILE", b"iCCP", b"xmp", b"sRGB"):
        assert secret not in rendered.data


@pytest.mark.parametrize("output_format", ["jpeg", "png", "webp", "avif", "gif"])
def test_alpha_goes_where_the_format_has_it_and_onto_white_where_not(loader, output_format):
    corner = Image.new("RGBA", (64, 64), (*RED, 0))
    corner.paste((*RED, 255), (0, 0, 32, 64))
    image = one(encoded(corner, "PNG"), loader, format=output_format).convert("RGBA")
    assert close(image.getpixel((10, 32)), (*RED, 255), tolerance=8)
    hidden = image.getpixel((54, 32))
    assert close(hidden, (255, 255, 255, 255), 3) if output_format == "jpeg" else hidden[3] == 0


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("AVIF", "avif"),
        ("GIF", "gif"),
        ("BMP", "jpeg"),
        ("TIFF", "jpeg"),
    ],
)
def test_source_format_is_kept_where_it_can_be_written(loader, source, wanted):
    data = encoded(Image.new("RGB", (40, 30), RED), source)
    (rendered,) = render(data, process_recipe(), loader, PixelLimits()).outputs()
    assert rendered.format == wanted


def test_same_bytes_in_give_same_bytes_out(sideways_jpeg, loader):
    specs = [{"operations": [step(120, 120)], "format": name} for name in ("jpeg", "png", "webp", "avif", "gif")]
    first, second = (outputs(sideways_jpeg, loader, *specs) for _ in range(2))
    assert [output.sha256 for output in first] == [output.sha256 for output in second]


def test_only_the_named_outputs_are_made(small, loader):
    recipe = parse_recipe({"outputs": [{"name": "a"}, {"name": "b"}, {"name": "c"}]})
    data = encoded(small, "JPEG")
    made = render(data, recipe, loader, PixelLimits()).outputs({"c", "a"})
    assert [output.name for output in made] == ["a", "c"]
    assert list(render(data, recipe, loader, PixelLimits()).outputs(())) == []


def test_quality_decides_the_size(small, loader):
    for name in ("jpeg", "webp", "avif"):
        low, high = outputs(encoded(small, "PNG"), loader, *({"format": name, "quality": q} for q in (20, 90)))
        assert len(low.data) < 0.7 * len(high.data)
