"""Crop, rotate, flip, trim, pad, round, background and fill, by both loaders: exact geometry, and the looks of each
step done to the whole picture by Lanczos.
"""

import io

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError

LANCZOS = Image.Resampling.LANCZOS
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
WHOLE = (1200, 900)


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def original():
    return photo(*WHOLE, seed=3)


@pytest.fixture(scope="module")
def source(original):
    """Lossless, so that where no pixel is resampled none may differ."""
    return encoded(original, "PNG", compress_level=1)


def rendered(data, loader, *operations, limits=PixelLimits(), **more):  # noqa: B008 - frozen
    recipe = parse_recipe({"outputs": [{"name": "a", "format": "png", "operations": list(operations), **more}]})
    (output,) = render(data, recipe, loader, limits).outputs()
    image = Image.open(io.BytesIO(output.data))
    image.load()
    assert image.size == (output.width, output.height)
    return image.convert("RGBA") if image.mode == "P" else image


def resize(width, height, **more):
    return {"op": "resize", "width": width, "height": height, **more}


def crop(width, height, **more):
    return {"op": "crop", "width": width, "height": height, **more}


def rotate(angle, **more):
    return {"op": "rotate", "angle": angle, **more}


def same(one, other):
    return ImageChops.difference(one.convert("RGBA"), other.convert("RGBA")).getbbox(alpha_only=False) is None


# Crop


@pytest.mark.parametrize(
    ("step", "box"),
    [
        (crop(301, 203, x=17, y=33), (17, 33, 318, 236)),
        (crop(5000, 16_384, x=1100, y=0), (1100, 0, 1200, 900)),
        (crop(300, 200), (450, 350, 750, 550)),
        (crop(300, 200, gravity="southeast"), (900, 700, 1200, 900)),
        (crop(300, 200, focus={"x": 0.25, "y": 0}), (150, 0, 450, 200)),
        (crop(5000, 100, gravity="north"), (0, 0, 1200, 100)),
    ],
)
def test_crop_keeps_exactly_its_pixels(source, original, loader, step, box):
    assert same(rendered(source, loader, step), original.crop(box))


@pytest.mark.parametrize(
    ("box", "size"),
    [((501, 303, 902, 606), (200, 151)), ((7, 11, 1107, 836), (220, 165)), ((333, 333, 633, 633), (290, 290))],
)
def test_crop_before_a_resize_looks_as_if_all_had_been_decoded(original, loader, box, size):
    """Of a JPEG that is decoded smaller: the crop may begin between two of the pixels that were loaded."""
    data = jpeg(original)
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    step = crop(box[2] - box[0], box[3] - box[1], x=box[0], y=box[1])
    image = rendered(data, loader, step, resize(*size, mode="exact"))
    assert ssim(image, whole.crop(box).resize(size, LANCZOS)) >= 0.995


def test_crop_counts_from_the_corner_of_what_the_steps_before_it_left(source, original, loader):
    image = rendered(source, loader, crop(600, 400, x=100, y=50), {"op": "flip"}, rotate(90), crop(200, 300, x=30, y=9))
    before = original.crop((100, 50, 700, 450)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    expected = before.transpose(Image.Transpose.ROTATE_270).crop((30, 9, 230, 309))
    assert same(image, expected)


@pytest.mark.parametrize("step", [crop(10, 10, x=1200, y=0), crop(10, 10, x=0, y=900), crop(1, 1, x=10**9, y=10**9)])
def test_crop_outside_of_the_picture_fails_before_anything_is_decoded(source, loader, step):
    recipe = parse_recipe({"outputs": [{"name": "a", "operations": [step]}]})
    with pytest.raises(PermanentError) as caught:
        render(source, recipe, loader, PixelLimits())
    assert caught.value.code is ErrorCode.RECIPE_MISMATCH
    assert "1200x900" in caught.value.detail


def test_crop_outside_of_what_a_trim_left_fails(loader):
    page = Image.new("RGB", (100, 100), WHITE)
    page.paste(RED, (40, 40, 60, 60))
    with pytest.raises(PermanentError) as caught:
        rendered(encoded(page, "PNG"), loader, {"op": "trim"}, crop(10, 10, x=30, y=0))
    assert caught.value.code is ErrorCode.RECIPE_MISMATCH
    assert "20x20" in caught.value.detail


# Flip and rotate


@pytest.mark.parametrize(
    ("step", "method"),
    [
        ({"op": "flip"}, Image.Transpose.FLIP_LEFT_RIGHT),
        ({"op": "flip", "direction": "vertical"}, Image.Transpose.FLIP_TOP_BOTTOM),
        (rotate(90), Image.Transpose.ROTATE_270),
        (rotate(-180), Image.Transpose.ROTATE_180),
        (rotate(270), Image.Transpose.ROTATE_90),
    ],
)
def test_flip_and_quarter_turn_keep_every_pixel(source, original, loader, step, method):
    assert same(rendered(source, loader, step), original.transpose(method))
    small = rendered(jpeg(original), loader, step, resize(200, 200))
    expected = original.transpose(method)
    expected.thumbnail((200, 200), LANCZOS)
    assert ssim(small, expected) >= 0.98


def test_full_turn_changes_nothing(source, original, loader):
    assert same(rendered(source, loader, rotate(360), rotate(0)), original)


@pytest.mark.parametrize("angle", [0.5, 30, 45, 100.25, 181, 333])
def test_any_angle_grows_to_hold_all_and_turns_clockwise(original, loader, angle):
    original = original.resize((400, 300), LANCZOS)
    image = rendered(encoded(original, "PNG"), loader, rotate(angle, background="blue"))
    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == BLUE
    reference = original.convert("RGBA").rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    assert abs(image.width - reference.width) <= 2
    assert abs(image.height - reference.height) <= 2
    # Where the middle of the red disc went, in the reference and here.
    assert abs(red_centre(image)[0] - red_centre(reference)[0]) < 2
    assert abs(red_centre(image)[1] - red_centre(reference)[1]) < 2


def red_centre(image):
    red, green, blue = image.convert("RGB").split()
    strong = ImageChops.subtract(ImageChops.subtract(red, green), blue).point(lambda value: 255 if value > 90 else 0)
    left, upper, right, lower = strong.getbbox()
    return (left + right) / 2, (upper + lower) / 2


def test_turned_edges_are_smooth_and_never_dark(loader):
    """A white square on transparent: every pixel of the slanting edge is white, more or less there."""
    data = encoded(Image.new("RGB", (100, 100), WHITE), "PNG")
    image = rendered(data, loader, rotate(30, background="transparent"))
    assert image.mode in ("LA", "RGBA")
    shades = {alpha for *_, alpha in pixels(image)}
    assert len(shades) > 20
    assert all(min(colour) >= 254 for *colour, alpha in pixels(image) if alpha > 8)


def test_corners_of_a_turn_have_the_background_even_if_it_is_half_there(loader):
    data = encoded(Image.new("RGB", (40, 40), WHITE), "PNG")
    image = rendered(data, loader, rotate(30, background="#80402080")).convert("RGBA")
    assert all(abs(a - b) <= 1 for a, b in zip(image.getpixel((0, 0)), (128, 64, 32, 128), strict=True))
    assert image.getpixel((image.width // 2, image.height // 2)) == (*WHITE, 255)


def pixels(image):
    return list(image.convert("RGBA").get_flattened_data())


# Pad, fill and its anchors


@pytest.mark.parametrize(
    ("gravity", "left", "upper"), [("center", 0, 50), ("north", 0, 0), ("southwest", 0, 100), ("southeast", 0, 100)]
)
def test_pad_has_the_whole_picture_on_a_page(source, original, loader, gravity, left, upper):
    image = rendered(source, loader, resize(400, 400, mode="pad", background="#0000ff", gravity=gravity))
    assert image.size == (400, 400)
    assert image.mode == "RGB"
    inside = image.crop((left, upper, left + 400, upper + 300))
    assert ssim(inside, original.resize((400, 300), LANCZOS)) >= 0.995
    image.paste(BLUE, (left, upper, left + 400, upper + 300))
    assert image.getcolors() == [(160_000, BLUE)]


def test_pad_does_not_enlarge_unasked(loader):
    data = encoded(Image.new("RGB", (10, 20), RED), "PNG")
    small = rendered(data, loader, resize(100, 100, mode="pad", background="lime")).convert("RGB")
    assert sorted(small.getcolors()) == [(200, RED), (9800, (0, 255, 0))]
    large = rendered(data, loader, resize(100, 100, mode="pad", enlarge=True)).convert("RGB")
    assert large.getpixel((50, 0)) == RED
    assert large.getpixel((10, 50)) == WHITE


def test_pad_of_grey_in_colour_and_in_nothing(loader):
    data = encoded(Image.new("L", (20, 10), 77), "PNG")
    image = rendered(data, loader, resize(20, 20, mode="pad", background="green"))
    assert image.convert("RGB").getpixel((0, 0)) == GREEN
    assert image.convert("RGB").getpixel((10, 10)) == (77, 77, 77)
    clear = rendered(data, loader, resize(20, 20, mode="pad", background="transparent")).convert("RGBA")
    assert clear.getpixel((0, 0))[3] == 0
    assert clear.getpixel((10, 10)) == (77, 77, 77, 255)


@pytest.mark.parametrize(
    ("anchor", "left"),
    [({"gravity": "west"}, 0), ({"gravity": "east"}, 300), ({"focus": {"x": 0.4, "y": 0}}, 30), ({}, 150)],
)
def test_fill_shows_the_part_that_its_anchor_says(source, original, loader, anchor, left):
    image = rendered(source, loader, resize(300, 300, mode="fill", **anchor))
    assert image.size == (300, 300)
    assert ssim(image, original.crop((left, 0, left + 900, 900)).resize((300, 300), LANCZOS)) >= 0.995


def test_device_pixel_ratio_multiplies_the_size(source, loader):
    assert rendered(source, loader, resize(200, 100, mode="fill", dpr=2)).size == (400, 200)
    assert rendered(source, loader, {"op": "resize", "width": 101, "dpr": 1.5}).size == (152, 114)


# Smart


@pytest.fixture(scope="module", params=["left", "right"])
def lonely(request):
    """Much sky, and one thing to look at near one end; also the share of the width that it is at."""
    picture = Image.new("RGB", (1200, 400), (170, 190, 210))
    x = 100 if request.param == "left" else 900
    picture.paste(photo(200, 200, seed=9), (x, 120))
    ImageDraw.Draw(picture).ellipse((x + 40, 160, x + 160, 280), fill=(230, 150, 110), outline=(40, 20, 10), width=6)
    return picture, x


@pytest.mark.parametrize(
    "steps",
    [
        [resize(200, 200, mode="fill", gravity="smart")],
        [crop(400, 400, gravity="smart"), resize(200, 200)],
        [{"op": "flip"}, resize(200, 200, mode="fill", gravity="smart"), {"op": "flip"}],
        [crop(1190, 400, x=10, y=0), resize(200, 200, mode="fill", gravity="smart")],
        [{"op": "filter", "name": "blur", "sigma": 1}, crop(400, 400, gravity="smart"), resize(200, 200)],
    ],
)
def test_smart_keeps_what_there_is_to_see(lonely, loader, steps):
    picture, _ = lonely
    for data in (jpeg(picture), encoded(picture, "PNG")):
        image = rendered(data, loader, *steps)
        assert image.size == (200, 200)
        # The disc is of 120 pixels in 400: most of its warm area must be in the part that was kept.
        assert warm_pixels(image) > 0.8 * warm_pixels(picture.resize((600, 200), LANCZOS))


def warm_pixels(image):
    red, _, blue = image.convert("RGB").split()
    return ImageChops.subtract(red, blue).point(lambda value: 255 if value > 80 else 0).histogram()[255]


def test_smart_looks_only_at_what_the_crop_before_it_left(loader):
    """Two things to look at: the one that was cut away must not be searched for where it would be."""
    picture = Image.new("RGB", (1200, 400), (170, 190, 210))
    thing = photo(200, 200, seed=9)
    for x in (0, 700):
        picture.paste(thing, (x, 100))
    image = rendered(encoded(picture, "PNG"), loader, crop(700, 400, x=500, y=0), crop(240, 240, gravity="smart"))
    assert deviation(image) > 0.8 * deviation(picture.crop((680, 80, 920, 320)))


def test_smart_of_one_colour_has_its_size_all_the_same(loader):
    data = encoded(Image.new("RGB", (640, 160), (90, 120, 150)), "PNG")
    assert rendered(data, loader, crop(160, 100, gravity="smart")).size == (160, 100)


def test_smart_without_anything_to_cut_is_a_plain_resize(source, original, loader):
    image = rendered(source, loader, resize(400, 300, mode="fill", gravity="smart"))
    assert ssim(image, original.resize((400, 300), LANCZOS)) >= 0.995


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_smart_reads_grey_and_transparent_pictures(lonely, loader, mode):
    picture, x = lonely
    data = encoded(picture.convert(mode), "PNG")
    image = rendered(data, loader, crop(400, 400, gravity="smart"))
    assert deviation(image) > 0.8 * deviation(picture.crop((x - 100, 0, x + 300, 400)))


def deviation(image):
    return ImageStat.Stat(image.convert("L")).stddev[0]


def test_smart_part_has_its_size_at_any_aspect(loader):
    for size in ((37, 1999), (1999, 37), (3, 5), (1, 300)):
        data = encoded(photo(*size) if min(size) > 20 else Image.new("RGB", size, RED), "PNG")
        for width, height in ((10, 10), (1, 64), (300, 1)):
            image = rendered(data, loader, resize(width, height, mode="fill", gravity="smart"))
            assert image.size == (min(width, size[0]), min(height, size[1]))


# Trim


def framed(ground, thing, box, mode="RGB", size=(200, 150)):
    page = Image.new(mode, size, ground)
    page.paste(thing, box)
    return page


def test_trim_takes_the_border_and_nothing_else(loader):
    page = framed(WHITE, RED, (30, 20, 101, 91))
    assert same(rendered(encoded(page, "PNG"), loader, {"op": "trim"}), page.crop((30, 20, 101, 91)))


def test_trim_threshold_says_what_is_border(loader):
    page = framed((250, 250, 250), (239, 250, 250), (30, 20, 101, 91))
    data = encoded(page, "PNG")
    assert rendered(data, loader, {"op": "trim", "threshold": 10}).size == (71, 71)
    assert rendered(data, loader, {"op": "trim", "threshold": 11}).size == (200, 150)


def test_trim_of_a_jpeg_border_is_not_misled_by_its_noise(loader):
    page = framed(WHITE, RED, (32, 32, 96, 96))
    width, height = rendered(jpeg(page, quality=85), loader, {"op": "trim", "threshold": 40}).size
    assert 64 <= width <= 70
    assert 64 <= height <= 70


def test_trim_of_nothing_but_border_leaves_it(loader):
    for mode, colour in (("L", 7), ("RGB", RED), ("RGBA", (1, 2, 3, 0))):
        assert rendered(encoded(Image.new(mode, (30, 20), colour), "PNG"), loader, {"op": "trim"}).size == (30, 20)


def test_trim_takes_all_that_is_invisible_whatever_its_colour(loader):
    page = Image.new("RGBA", (60, 40), (255, 0, 0, 0))
    page.paste((0, 255, 0, 0), (0, 0, 60, 20))
    page.paste((0, 0, 255, 255), (10, 10, 25, 30))
    assert rendered(encoded(page, "PNG"), loader, {"op": "trim"}).size == (15, 20)


def test_steps_after_a_trim_know_its_size(loader):
    page = framed(WHITE, RED, (50, 25, 150, 75))
    image = rendered(encoded(page, "PNG"), loader, {"op": "trim"}, resize(50, 50), rotate(90))
    assert image.size == (25, 50)


# Background and round


def see_through():
    page = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    page.paste((255, 0, 0, 255), (0, 0, 32, 64))
    page.paste((255, 0, 0, 128), (0, 0, 32, 32))
    return page


def test_background_lies_behind_what_is_transparent(loader):
    image = rendered(encoded(see_through(), "PNG"), loader, {"op": "background", "color": "blue"})
    assert "A" not in image.mode or image.convert("RGBA").getextrema()[3] == (255, 255)
    image = image.convert("RGB")
    assert image.getpixel((10, 50)) == RED
    assert image.getpixel((50, 50)) == BLUE
    assert all(abs(a - b) <= 1 for a, b in zip(image.getpixel((10, 10)), (128, 0, 127), strict=True))


def test_background_that_is_transparent_itself_keeps_alpha(loader):
    image = rendered(encoded(see_through(), "PNG"), loader, {"op": "background", "color": "#0000ff80"}).convert("RGBA")
    assert image.getpixel((10, 50)) == (*RED, 255)
    assert image.getpixel((50, 50)) == (*BLUE, 128)


def test_background_changes_nothing_of_an_opaque_picture(source, original, loader):
    assert same(rendered(source, loader, {"op": "background", "color": "red"}), original)


@pytest.mark.parametrize("size", [(100, 100), (101, 77), (40, 200), (1, 1), (2, 3)])
def test_round_max_of_a_square_is_a_circle_and_of_others_a_pill(loader, size):
    data = encoded(Image.new("RGB", size, RED), "PNG")
    alpha = rendered(data, loader, {"op": "round"}).convert("RGBA").getchannel("A")
    radius = min(size) / 2
    straight = (max(size) - min(size)) * min(size)
    area = sum(alpha.get_flattened_data()) / 255
    assert area == pytest.approx(3.14159 * radius * radius + straight, rel=0.02, abs=1.5)
    for method in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
        assert same(alpha, alpha.transpose(method))


def test_round_corners_are_smooth_and_leave_the_rest(source, original, loader):
    image = rendered(source, loader, {"op": "round", "radius": 100}).convert("RGBA")
    alpha = image.getchannel("A")
    assert alpha.getpixel((0, 0)) == 0
    assert alpha.getpixel((28, 28)) < 128 < alpha.getpixel((29, 29))
    assert len(set(alpha.crop((0, 0, 100, 100)).get_flattened_data())) > 30
    assert alpha.crop((100, 0, 1100, 900)).getextrema() == (255, 255)
    assert same(image.convert("RGB").crop((100, 100, 1100, 800)), original.crop((100, 100, 1100, 800)))


def test_round_goes_onto_white_where_the_format_has_no_alpha(source, loader):
    image = rendered(source, loader, {"op": "round", "radius": 200}, format="jpeg")
    assert image.mode == "RGB"
    assert min(image.getpixel((3, 3))) > 245


def test_round_with_a_background_is_opaque(source, loader):
    image = rendered(source, loader, {"op": "round", "radius": 200, "background": "green"})
    assert image.mode == "RGB"
    assert image.getpixel((2, 2)) == GREEN


def test_round_keeps_what_was_transparent(loader):
    image = rendered(encoded(see_through(), "PNG"), loader, {"op": "round", "radius": 8}).convert("RGBA")
    assert image.getpixel((0, 0))[3] == 0
    assert image.getpixel((50, 32))[3] == 0
    assert image.getpixel((16, 16))[3] == 128


# Alpha, limits


@pytest.mark.parametrize(
    "steps",
    [
        [resize(24, 24)],
        [resize(24, 31, mode="exact")],
        [crop(51, 51, x=3, y=3), resize(20, 20)],
        [resize(200, 200, enlarge=True)],
        [rotate(17, background="transparent")],
        [{"op": "flip"}, rotate(90), resize(23, 23)],
    ],
)
def test_no_dark_fringe_where_white_meets_transparent_black(loader, steps):
    """Colours are weighted by alpha when pixels are mixed: white stays white down to the last trace of it."""
    page = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(page).ellipse((9, 9, 54, 54), fill=(255, 255, 255, 255))
    image = rendered(encoded(page, "PNG"), loader, *steps)
    traces = [colour for *colour, alpha in pixels(image) if alpha > 16]
    assert traces
    assert min(min(colour) for colour in traces) >= 250


def test_rotation_beyond_the_limit_is_refused_before_anything_is_decoded(source, loader):
    recipe = parse_recipe({"outputs": [{"name": "tilted", "operations": [rotate(45)]}]})
    with pytest.raises(PermanentError) as caught:
        render(source, recipe, loader, PixelLimits(output=1200 * 900))
    assert caught.value.code is ErrorCode.TOO_MANY_PIXELS
    assert "tilted" in caught.value.detail


def test_every_step_is_held_to_the_limit_also_behind_a_trim(loader):
    """What a trim leaves is known when it is done: an enlarged strip is refused then, before it is made."""
    page = encoded(framed(WHITE, RED, (50, 10, 52, 140)), "PNG")
    strip = {"op": "resize", "width": 200, "enlarge": True}
    with pytest.raises(PermanentError) as caught:
        rendered(page, loader, {"op": "trim"}, strip, resize(8, 8), limits=PixelLimits(output=300 * 300))
    assert caught.value.code is ErrorCode.TOO_MANY_PIXELS


def test_outputs_of_one_decode_have_the_geometry_of_their_own(original, loader):
    data = jpeg(original)
    lists = [
        [crop(701, 503, x=101, y=77), resize(200, 200)],
        [{"op": "flip"}, rotate(90), resize(150, 201, mode="fill", gravity="northeast")],
        [{"op": "trim"}, resize(333, 100, mode="pad")],
        [rotate(33)],
    ]
    named = [{"name": f"o{i}", "format": "png", "operations": steps} for i, steps in enumerate(lists)]
    together = list(render(data, parse_recipe({"outputs": named}), loader, PixelLimits()).outputs())
    for output, steps in zip(together, lists, strict=True):
        alone = rendered(data, loader, *steps)
        image = Image.open(io.BytesIO(output.data))
        assert image.size == alone.size
        # A fill may lie half a pixel of the result beside where it does alone.
        assert ssim(image, alone) >= 0.99
