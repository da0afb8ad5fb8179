"""Images laid over pictures, by both loaders: where they are, how they mix, what they may be."""

import hashlib
import io

import pytest
from PIL import Image, ImageChops

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.canvas import canvas_from_pixels
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.kernels import Kernels
from pixmill_imaging.pillow.operations import apply_operation
from pixmill_imaging.pillow.picture import Picture
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.pillow.view import View
from pixmill_imaging.service.assets import Assets
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError

ID = "0193f4a0-0000-7000-8000-00000000000a"
GROUND, MARK = (20, 40, 60), (220, 140, 60)


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


def flat(width, height, colour=GROUND):
    return Image.new("RGBA" if len(colour) == 4 else "RGB", (width, height), colour)


class Upload:
    """One watermark image, and how often it was read."""

    def __init__(self, image, sha256=None):
        self.data = image if isinstance(image, bytes) else encoded(image, "PNG")
        self.sha256 = sha256 or hashlib.sha256(self.data).hexdigest()
        self.reads = 0

    def read(self, _image):
        self.reads += 1
        return self.data

    def step(self, **step):
        return {"op": "watermark", "image": {"upload_id": ID, "sha256": self.sha256}, **step}


def outputs(source, loader, upload, *operations, limits=PixelLimits()):  # noqa: B008 - frozen
    named = [{"name": f"o{i}", "format": "png", "operations": steps} for i, steps in enumerate(operations)]
    data = source if isinstance(source, bytes) else encoded(source, "PNG")
    assets = Assets(upload.read, loader, limits, FontBook())
    made = render(data, parse_recipe({"outputs": named}), loader, limits, assets).outputs()
    return [unpacked(Image.open(io.BytesIO(output.data))) for output in made]


def unpacked(image):
    image.load()
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image


def marked(source, loader, mark, **step):
    upload = Upload(mark)
    return outputs(source, loader, upload, [upload.step(**step)])[0]


def changed(image, ground):
    """The box of all pixels that are not as before."""
    return ImageChops.difference(image.convert("RGB"), ground.convert("RGB")).getbbox()


@pytest.mark.parametrize(
    ("gravity", "corner"),
    [
        ("northwest", (3, 3)),
        ("north", (40, 3)),
        ("northeast", (77, 3)),
        ("west", (3, 25)),
        ("center", (40, 25)),
        ("east", (77, 25)),
        ("southwest", (3, 47)),
        ("south", (40, 47)),
        ("southeast", (77, 47)),
    ],
)
def test_gravity_and_margin_place_the_image(loader, gravity, corner):
    ground = flat(100, 60)
    image = marked(ground, loader, flat(20, 10, MARK), gravity=gravity, margin=3)
    assert changed(image, ground) == (*corner, corner[0] + 20, corner[1] + 10)
    assert image.getpixel(corner) == MARK


@pytest.mark.parametrize("opacity", [0, 0.1, 0.25, 0.5, 0.9, 1])
def test_opacity_mixes_flat_colours_exactly(loader, opacity):
    image = marked(flat(40, 30), loader, flat(10, 10, MARK), opacity=opacity)
    wanted = [(1 - opacity) * below + opacity * above for below, above in zip(GROUND, MARK, strict=True)]
    assert all(abs(sample - value) <= 1 for sample, value in zip(image.getpixel((20, 15)), wanted, strict=True))
    assert image.getpixel((2, 2)) == GROUND


def test_alpha_of_the_mark_and_opacity_multiply(loader):
    image = marked(flat(40, 30), loader, flat(10, 10, (*MARK, 128)), opacity=0.5)
    wanted = [below + (above - below) * 0.25 for below, above in zip(GROUND, MARK, strict=True)]
    assert all(abs(sample - value) <= 1.5 for sample, value in zip(image.getpixel((20, 15)), wanted, strict=True))


def test_scale_is_a_part_of_the_pictures_width(loader):
    ground = flat(200, 120)
    for mark in (flat(400, 100, MARK), flat(8, 2, MARK)):
        left, upper, right, lower = changed(marked(ground, loader, mark, scale=0.25), ground)
        assert (right - left, lower - upper) == (50, 12)


def test_scaled_mark_looks_like_its_own_lanczos(loader):
    mark = photo(320, 240, seed=9)
    image = marked(flat(200, 200), loader, jpeg(mark, quality=95, orientation=1), gravity="northwest", scale=0.8)
    assert ssim(image.crop((0, 0, 160, 120)), mark.resize((160, 120), Image.Resampling.LANCZOS)) >= 0.99


def test_mark_that_is_larger_than_the_picture_is_scaled_down_into_it(loader):
    ground = flat(60, 60)
    assert changed(marked(ground, loader, flat(600, 300, MARK)), ground) == (0, 15, 60, 45)
    assert changed(marked(ground, loader, flat(600, 300, MARK), margin=10), ground) == (10, 20, 50, 40)
    assert changed(marked(ground, loader, flat(600, 300, MARK), margin=10_000), ground) is not None
    assert marked(flat(1, 1), loader, flat(600, 300, MARK), margin=7).getpixel((0, 0)) == MARK


def test_mark_lies_as_a_camera_saw_it(loader):
    mark = flat(20, 10, MARK)
    ground = flat(60, 60)
    sideways = jpeg(mark, orientation=6)
    assert changed(marked(ground, loader, sideways), ground) == (25, 20, 35, 40)


@pytest.mark.parametrize("gravity", ["center", "northwest", "southeast", "east"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (90, 3), (33, 33)])
def test_tiles_without_a_margin_cover_all_of_the_picture(loader, gravity, size):
    image = marked(flat(100, 61), loader, flat(*size, MARK), tile=True, gravity=gravity)
    assert image.getcolors() == [(100 * 61, MARK)]


def test_tiles_lie_on_a_grid_through_the_place_of_gravity(loader):
    image = marked(flat(100, 60), loader, flat(8, 6, MARK), tile=True, margin=4, gravity="northwest")
    for x in range(100):
        for y in range(60):
            inside = (x - 4) % 12 < 8 and (y - 4) % 10 < 6
            assert image.getpixel((x, y)) == (MARK if inside else GROUND), (x, y)


def test_joined_tiles_are_no_other_picture_than_single_ones(loader):
    """A one-pixel mark is laid thousands of times; the grid stays exact, and half-opaque tiles never overlap."""
    image = marked(flat(150, 90), loader, flat(1, 1, MARK), tile=True, margin=1, opacity=0.5, gravity="northwest")
    counts = {colour: count for count, colour in image.getcolors()}
    assert len(counts) == 2
    assert counts[GROUND] == 150 * 90 - 75 * 45


def test_see_through_picture_keeps_its_alpha_beside_the_mark(loader):
    ground = flat(60, 40).convert("RGBA")
    ground.putalpha(Image.linear_gradient("L").resize((60, 40)))
    image = marked(ground, loader, flat(10, 10, MARK), gravity="northwest")
    assert image.mode == "RGBA"
    assert image.crop((10, 0, 60, 40)).tobytes() == ground.crop((10, 0, 60, 40)).tobytes()
    assert image.getpixel((5, 5)) == (*MARK, 255)
    faint = marked(ground, loader, flat(10, 10, MARK), gravity="northwest", opacity=0.5)
    assert 127 <= faint.getpixel((5, 0))[3] <= 129
    tiled = marked(ground, loader, flat(7, 7, MARK), tile=True)
    assert tiled.convert("RGBA").getextrema() == tuple((sample, sample) for sample in (*MARK, 255))


def test_grey_picture_becomes_colour(loader):
    ground = Image.new("L", (40, 30), 90)
    image = marked(ground, loader, flat(10, 10, MARK))
    assert image.mode == "RGB"
    assert image.getpixel((20, 15)) == MARK
    assert image.getpixel((1, 1)) == (90, 90, 90)


def test_order_is_the_recipes(loader):
    upload = Upload(flat(20, 20, MARK))
    shrink = {"op": "resize", "width": 50}
    before, after = outputs(flat(100, 100), loader, upload, [upload.step(), shrink], [shrink, upload.step()])
    small = flat(50, 50)
    inner = changed(after, small)
    assert (inner[2] - inner[0], inner[3] - inner[1]) == (20, 20)
    assert before.getpixel((25, 25)) == MARK
    assert before.getpixel((16, 16)) == GROUND


def test_image_is_read_once_for_outputs_from_large_to_small_and_for_all_steps(loader):
    upload = Upload(photo(300, 200))
    steps = [
        [{"op": "resize", "width": width}, upload.step(scale=0.5), upload.step(scale=0.2, gravity="north")]
        for width in (200, 100, 50)
    ]
    made = outputs(flat(400, 300), loader, upload, *steps)
    assert [image.width for image in made] == [200, 100, 50]
    assert upload.reads == 1
    # Needed larger than it was decoded at, it is read again rather than blown up.
    assert len(outputs(flat(400, 300), loader, upload, *reversed(steps))) == 3
    assert 1 < upload.reads <= 4


def test_all_frames_get_the_mark_and_the_layer_is_made_once(loader):
    upload = Upload(flat(10, 10, MARK))
    assets = Assets(upload.read, loader, PixelLimits(), FontBook())
    frames = tuple(flat(40, 30, colour) for colour in (GROUND, (9, 9, 9), (70, 0, 0)))
    step = parse_recipe({"outputs": [{"name": "a", "operations": [upload.step()]}]}).outputs[0].operations[0]
    made = apply_operation(View.of(Picture(frames, (10, 20, 30), 2)), step, Kernels(), assets).settled()
    assert [frame.getpixel((20, 15)) for frame in made.frames] == [MARK] * 3
    assert [frame.getpixel((1, 1)) for frame in made.frames] == [GROUND, (9, 9, 9), (70, 0, 0)]
    assert (made.durations, made.loop, upload.reads) == ((10, 20, 30), 2, 1)
    assert frames[0].getpixel((20, 15)) == GROUND


def test_canvas_over_a_decoders_own_memory_is_not_written_to():
    pixels = bytes(40 * 30 * 3)
    upload = Upload(flat(10, 10, MARK))
    assets = Assets(upload.read, choose_loader(LoaderChoice.PILLOW), PixelLimits(), FontBook())
    step = parse_recipe({"outputs": [{"name": "a", "operations": [upload.step()]}]}).outputs[0].operations[0]
    picture = Picture.still(canvas_from_pixels(pixels, 40, 30, 3))
    assert apply_operation(View.of(picture), step, Kernels(), assets).settled().frames[0].getpixel((20, 15)) == MARK
    assert not any(pixels)


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"", ErrorCode.UNSUPPORTED_FORMAT, "is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ErrorCode.UNSUPPORTED_FORMAT, "It is an SVG"),
        (encoded(photo(64, 64), "JPEG")[:700], ErrorCode.UNDECODABLE, "It is damaged"),
        (encoded(flat(101, 100), "PNG"), ErrorCode.TOO_MANY_PIXELS, "101x100"),
    ],
)
def test_image_that_cannot_be_used_is_a_permanent_error_that_names_the_watermark(loader, data, code, said):
    upload = Upload(data)
    with pytest.raises(PermanentError) as caught:
        outputs(flat(40, 30), loader, upload, [upload.step()], limits=PixelLimits(source=10_000))
    assert caught.value.code is code
    assert caught.value.detail.startswith("The image of the watermark cannot be used. It ")
    assert said in caught.value.detail


def test_other_bytes_than_those_that_were_pinned_are_refused(loader):
    upload = Upload(flat(10, 10, MARK), sha256="0" * 64)
    with pytest.raises(PermanentError) as caught:
        outputs(flat(40, 30), loader, upload, [upload.step()])
    assert caught.value.code is ErrorCode.SOURCE_NOT_FOUND
    assert "watermark" in caught.value.detail
