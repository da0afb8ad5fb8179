"""What goes out, by both loaders: the look of each format, the bytes that were asked for, what a page is told."""

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError

SIZE = (320, 240)
BOX = {"op": "resize", "width": 320, "height": 240}


@pytest.fixture(scope="module", params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def source():
    """As smooth as photographs are at this size."""
    return photo(1280, 960, seed=5)


@pytest.fixture(scope="module")
def reference(source):
    return source.resize(SIZE, Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def png(source):
    return encoded(source, "PNG")


@pytest.fixture(scope="module")
def finished(reference):
    """A source that is in the box already: what comes out is what the encoder was given."""
    return encoded(reference, "PNG")


def made(data, loader, *outputs):
    recipe = parse_recipe({"outputs": [{"name": f"o{i}", **output} for i, output in enumerate(outputs)]})
    return list(render(data, recipe, loader, PixelLimits()).outputs())


def one(data, loader, **output):
    return made(data, loader, {"operations": [BOX], **output})[0]


def opened(rendered):
    image = Image.open(io.BytesIO(rendered.data))
    image.load()
    return image


def likeness(rendered, reference):
    assert (rendered.width, rendered.height) == reference.size == opened(rendered).size
    return ssim(opened(rendered).convert("RGB"), reference)


def mean_colour(image):
    return ImageStat.Stat(image.convert("RGB")).mean


@pytest.mark.parametrize(
    ("output", "least"),
    [
        ({"format": "jpeg", "quality": 92}, 0.97),
        ({"format": "jpeg", "quality": 60}, 0.93),
        ({"format": "jpeg", "quality": 60, "effort": "small"}, 0.93),
        ({"format": "png"}, 0.995),
        ({"format": "webp"}, 0.93),
        ({"format": "webp", "effort": "small"}, 0.93),
        ({"format": "webp", "lossless": True}, 0.995),
        ({"format": "avif"}, 0.94),
        ({"format": "avif", "quality": 90, "effort": "small"}, 0.98),
        ({"format": "gif"}, 0.9),
        ({"format": "auto"}, 0.94),
    ],
    ids=str,
)
def test_every_format_shows_the_picture(png, reference, loader, output, least):
    rendered = one(png, loader, **output)
    assert likeness(rendered, reference) >= least
    difference = zip(mean_colour(opened(rendered)), mean_colour(reference), strict=True)
    assert max(abs(a - b) for a, b in difference) < 2.5


def test_lossless_is_exact(loader):
    small = photo(64, 48)
    veiled = small.convert("RGBA")
    veiled.putalpha(Image.linear_gradient("L").resize(small.size))
    for image in (small, veiled, small.quantize(100).convert("RGB"), small.convert("L")):
        for rendered in made(encoded(image, "PNG"), loader, {"format": "png"}, {"format": "webp", "lossless": True}):
            assert opened(rendered).convert(image.mode).tobytes() == image.tobytes()


@pytest.mark.parametrize("colours", [1, 2, 16, 255, 256])
def test_png_of_few_colours_has_a_palette_and_the_same_pixels(loader, colours):
    image = Image.new("RGBA", (32, 32))
    image.putdata([(n * 97 % 256, n * 31 % 256, n, 255 - n % 3) for n in (at % colours for at in range(1024))])
    (rendered,) = made(encoded(image, "PNG"), loader, {"format": "png"})
    assert opened(rendered).mode == "P"
    assert opened(rendered).convert("RGBA").tobytes() == image.tobytes()


def test_png_of_many_colours_has_none(loader):
    (rendered,) = made(encoded(photo(64, 64), "PNG"), loader, {"format": "png"})
    assert opened(rendered).mode == "RGB"


def test_alpha_that_hides_nothing_is_left_out(loader):
    image = photo(64, 48).convert("RGBA")
    rendered, chosen = made(encoded(image, "PNG"), loader, {"format": "png"}, {"format": "auto"})
    assert opened(rendered).mode == "RGB"
    assert chosen.format in ("avif", "webp", "jpeg")


def test_jpeg_keeps_full_colour_from_quality_90(png, loader):
    def sampling(quality):
        return {layer[1:3] for layer in opened(one(png, loader, format="jpeg", quality=quality)).layer}

    assert sampling(89) == {(2, 2), (1, 1)}
    assert sampling(90) == {(1, 1)}


def test_more_effort_is_fewer_bytes_of_the_same_likeness(png, reference, loader):
    for output_format in ("jpeg", "webp"):
        fast, small = (one(png, loader, format=output_format, effort=effort) for effort in ("fast", "small"))
        assert len(small.data) < len(fast.data)
        assert likeness(small, reference) >= likeness(fast, reference) - 0.005
    assert opened(one(png, loader, format="jpeg", effort="small", quality=80)).size == SIZE


@pytest.mark.parametrize("size", [(48, 48), (600, 500)])
@pytest.mark.parametrize("effort", ["fast", "small"])
def test_white_noise_fits_into_the_encoders_buffer(loader, size, effort):
    noise = Image.effect_noise(size, 100).convert("RGB")
    noise = Image.merge("RGB", [Image.effect_noise(size, 200) for _ in range(3)])
    (rendered,) = made(encoded(noise, "PNG"), loader, {"format": "jpeg", "quality": 100, "effort": effort})
    assert ssim(opened(rendered), noise) > 0.99


@pytest.mark.parametrize("output_format", ["jpeg", "webp", "avif"])
def test_max_bytes_finds_the_highest_quality_that_fits(png, reference, loader, output_format):
    whole = one(png, loader, format=output_format)
    most = len(whole.data) * 2 // 3
    fitted = one(png, loader, format=output_format, max_bytes=most)
    assert 0.9 * most <= len(fitted.data) <= most
    assert likeness(fitted, reference) > 0.8
    roomy = one(png, loader, format=output_format, max_bytes=len(whole.data))
    assert roomy.sha256 == whole.sha256


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"format": "webp"}, "at the lowest quality"),
        ({"format": "png"}, "no quality to lower"),
        ({"format": "webp", "lossless": True}, "no quality to lower"),
        ({"format": "auto"}, "at the lowest quality"),
    ],
)
def test_bytes_that_nothing_fits_into_fail_the_job_with_a_sentence(png, loader, output, words):
    with pytest.raises(PermanentError) as caught:
        one(png, loader, max_bytes=99, **output)
    assert caught.value.code is ErrorCode.RECIPE_MISMATCH
    assert words in caught.value.detail
    assert "max_bytes is 99." in caught.value.detail


def test_side_that_the_format_cannot_hold_fails_the_job_with_a_sentence(loader):
    line = encoded(Image.new("RGB", (16_384, 1)), "PNG")
    with pytest.raises(PermanentError) as caught:
        made(line, loader, {"format": "webp"})
    assert caught.value.code is ErrorCode.RECIPE_MISMATCH
    assert "16384x1" in caught.value.detail
    (rendered,) = made(line, loader, {"format": "auto", "formats": ["webp", "png"]})
    assert rendered.format == "png"


def test_auto_keeps_the_smallest_that_is_like_the_picture(finished, reference, loader):
    chosen = one(finished, loader, format="auto", formats=["jpeg", "png", "webp"], min_ssim=0.96)
    assert likeness(chosen, reference) >= 0.96
    alone = [one(finished, loader, format="auto", formats=[name], min_ssim=0.96) for name in ("jpeg", "png", "webp")]
    assert all(likeness(rendered, reference) >= 0.96 for rendered in alone)
    assert len(chosen.data) == min(len(rendered.data) for rendered in alone)


def test_auto_raises_the_quality_only_as_far_as_it_must(finished, reference, loader):
    plain = one(finished, loader, format="jpeg", quality=50)
    auto = {"format": "auto", "formats": ["jpeg"], "quality": 50}
    assert one(finished, loader, **auto, min_ssim=0.5).sha256 == plain.sha256
    raised = one(finished, loader, **auto, min_ssim=0.97)
    assert likeness(raised, reference) >= 0.97
    assert len(plain.data) < len(raised.data) < len(one(finished, loader, format="jpeg", quality=95).data)


def test_auto_that_may_not_be_lossless_keeps_the_likest(png, loader):
    chosen = one(png, loader, format="auto", formats=["gif", "jpeg"], min_ssim=1)
    assert chosen.format == "jpeg"


def test_auto_keeps_what_can_be_seen_through(loader):
    veiled = photo(64, 48).convert("RGBA")
    veiled.putalpha(Image.linear_gradient("L").resize(veiled.size))
    outputs = [{"format": "auto"}, {"format": "auto", "formats": ["jpeg", "png"]}]
    for rendered in made(encoded(veiled, "PNG"), loader, *outputs):
        assert rendered.format != "jpeg"
        assert opened(rendered).convert("RGBA").getchannel("A").getextrema()[0] < 10


def test_auto_stays_below_max_bytes(png, loader):
    roomy = one(png, loader, format="auto")
    tight = one(png, loader, format="auto", max_bytes=len(roomy.data) // 2)
    assert len(tight.data) <= len(roomy.data) // 2


def test_output_says_what_a_page_shows_while_it_loads(loader):
    flag = Image.new("RGB", (400, 300), (10, 200, 90))
    flag.paste((250, 240, 10), (0, 0, 100, 300))
    hidden = Image.new("RGBA", (40, 30))
    (rendered,) = made(encoded(flag, "PNG"), loader, {"format": "webp"})
    assert rendered.dominant_color == "#0ac85a"
    assert 20 <= len(rendered.thumbhash) <= 40
    assert rendered.frames == 1
    (nothing,) = made(encoded(hidden, "PNG"), loader, {"format": "png"})
    assert nothing.dominant_color is None


def test_dominant_colour_is_the_same_at_every_size_of_an_output(loader):
    tall = Image.new("RGB", (900, 1200), (10, 200, 90))
    tall.paste((250, 240, 10), (0, 0, 900, 500))
    outputs = [{"operations": [{"op": "resize", "width": width}], "format": "png"} for width in (900, 300, 20)]
    made_of = made(encoded(tall, "PNG"), loader, *outputs)
    assert {rendered.dominant_color for rendered in made_of} == {"#0ac85a"}


def test_difference_of_pictures_is_seen_by_the_tests_themselves(reference):
    assert ssim(ImageChops.offset(reference, 4, 0), reference) < 0.9
