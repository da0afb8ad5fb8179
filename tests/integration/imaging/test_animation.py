"""Animations stay what they are: frames, durations, loops, disposal and transparency, through both loaders."""

import io

import pytest
from PIL import Image, ImageChops, ImageStat
from tests.integration.imaging.moving import (
    CLEAR,
    KEEP,
    RESTORE,
    Stored,
    any_gif,
    apng,
    ball,
    gif,
    packed,
    rows_of,
    saved,
)

from pixmill_imaging.domain import avif
from pixmill_imaging.domain.animation import frame_count
from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.domain.sniff import SourceFormat, sniff
from pixmill_imaging.pillow.ssim import ssim
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.errors import PermanentError

DURATIONS = (40, 100, 250, 70, 40, 1000)
MOVING = ("gif", "webp", "png", "avif")


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def pillow():
    return choose_loader(LoaderChoice.PILLOW)


@pytest.fixture(scope="module", params=[False, True], ids=["opaque", "see-through"])
def frames(request):
    return ball(len(DURATIONS), see_through=request.param)


def source(frames, name):
    options = {
        "gif": {"loop": 2, "disposal": 2},
        "webp": {"loop": 3, "lossless": True},
        "png": {"loop": 3, "default_image": False},
        "avif": {"quality": 95, "subsampling": "4:4:4", "speed": 9},
    }
    return saved(frames, name, DURATIONS, **options[name])


def animation(data, loader):
    """All frames at their own size."""
    opened = loader.open(data, sniff(data))
    return opened.pixels(opened.header.size, opened.header.frames)


def made(data, loader, limits=PixelLimits(), **output):  # noqa: B008 - frozen
    (rendered,) = render(data, parse_recipe({"outputs": [{"name": "o", **output}]}), loader, limits).outputs()
    return rendered


def refused(data, loader, limits=PixelLimits(), **output):  # noqa: B008 - frozen
    with pytest.raises(PermanentError) as caught:
        made(data, loader, limits, **output)
    return caught.value


def on_grey(image):
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def difference(one, other):
    return max(ImageStat.Stat(ImageChops.difference(on_grey(one), on_grey(other))).mean)


@pytest.mark.parametrize("seed", range(60))
def test_every_frame_of_any_gif_is_what_a_browser_shows(loader, seed):
    data, expected, stored = any_gif(seed)
    picture = animation(data, loader)
    assert [rows_of(frame) for frame in picture.frames] == expected
    assert picture.durations == tuple(frame.delay * 10 for frame in stored)


def test_gif_with_a_first_frame_beyond_its_screen_grows_and_a_later_one_is_cut(loader):
    palette = bytes(range(256)) * 3
    frames = [Stored((0, 0, 6, 5), bytes([9] * 30)), Stored((4, 3, 6, 5), bytes([50] * 30))]
    picture = animation(gif((4, 4), frames, palette=palette), loader)
    assert picture.size == Size(6, 5)
    assert picture.frames[1].getpixel((5, 4)) == tuple(palette[150:153])
    assert picture.frames[1].getpixel((3, 2)) == tuple(palette[27:30])


def test_gif_without_a_trailer_or_with_stray_bytes_still_plays(loader):
    palette = bytes(range(256)) * 3
    frames = [Stored((0, 0, 2, 2), bytes([n] * 4)) for n in (1, 2, 3)]
    assert len(animation(gif((2, 2), frames, palette=palette, trailer=b""), loader).frames) == 3
    data = gif((2, 2), frames[:2], palette=palette, trailer=b"\0\0\0") + b";"
    assert len(animation(data, loader).frames) == 2


@pytest.mark.parametrize(("repeats", "plays"), [(None, 1), (0, 0), (1, 2), (9, 10)])
def test_repeats_of_a_gif_are_how_often_it_plays_less_one(loader, repeats, plays):
    frames = [Stored((0, 0, 2, 2), bytes([n] * 4)) for n in (1, 2)]
    data = gif((2, 2), frames, loop=repeats, palette=bytes(768))
    assert animation(data, loader).loop == plays
    again = made(data, loader, format="gif").data
    assert (b"NETSCAPE2.0" in again) == (repeats is not None)
    assert animation(again, loader).loop == plays


@pytest.mark.parametrize("see_through", [False, True], ids=["opaque", "see-through"])
@pytest.mark.parametrize("plays", [0, 1, 2, 65_535])
def test_avif_is_shown_as_often_as_it_was(loader, see_through, plays):
    """Colour and alpha have a track each."""
    data = saved(ball(2, see_through=see_through), "png", (30, 50), loop=plays, default_image=False)
    assert animation(data, loader).loop == plays
    turned = made(data, loader, format="avif").data
    assert animation(turned, loader).loop == plays
    assert animation(made(turned, loader, format="avif").data, loader).loop == plays
    assert animation(made(turned, loader, format="png").data, loader).loop == plays


def test_avif_that_is_cut_or_lies_about_its_length_is_shown_for_ever():
    data = saved(ball(2, see_through=False), "avif", (30, 50))
    edits = data.index(b"elst")
    assert avif.plays(avif.shown(data, 7)) == 7
    for changed in (
        data[: edits + 8],
        data.replace(b"elst", b"free"),
        # Nothing to repeat.
        data[: edits + 12] + bytes(8) + data[edits + 20 :],
    ):
        assert avif.plays(changed) == 0


@pytest.mark.parametrize("wanted", MOVING)
def test_more_plays_than_a_format_can_say_are_as_many_as_it_can(loader, wanted):
    data = saved(ball(2, see_through=False), "png", (30, 50), loop=70_000, default_image=False)
    assert animation(made(data, loader, format=wanted).data, loader).loop == 65_535


def test_apng_blends_and_disposes_as_the_specification_says(loader):
    half, red, blue = (Image.new("RGBA", (4, 4), colour) for colour in ((0, 255, 0, 128), (255, 0, 0), (0, 0, 255)))
    data = apng(
        (8, 8),
        [
            (0, 0, Image.new("RGBA", (8, 8), (255, 255, 255, 255)), 30, 0, False),
            (0, 0, red, 40, 2, True),  # restored: white again
            (4, 4, half, 50, 0, True),  # on white: light green
            (0, 4, blue, 60, 1, False),  # cleared: nothing there
            (4, 0, half, 70, 0, False),  # replaced: half seen through
        ],
        plays=4,
    )
    picture = animation(data, loader)
    assert (picture.durations, picture.loop) == ((30, 40, 50, 60, 70), 4)
    white, light = (255, 255, 255, 255), (127, 255, 127, 255)
    seen = [[frame.convert("RGBA").getpixel(at) for at in ((1, 1), (5, 5), (1, 5), (5, 1))] for frame in picture.frames]
    assert seen == [
        [white] * 4,
        [(255, 0, 0, 255), white, white, white],
        [white, light, white, white],
        [white, light, (0, 0, 255, 255), white],
        [white, light, (0, 0, 0, 0), (0, 255, 0, 128)],
    ]


def test_default_image_of_an_apng_is_its_still_and_no_frame(loader):
    pieces = [(0, 0, Image.new("RGBA", (6, 6), (200, n, 0, 255)), 20, 0, False) for n in (10, 20)]
    data = apng((6, 6), pieces, default=True)
    picture = animation(data, loader)
    assert [frame.getpixel((0, 0)) for frame in picture.frames] == [(200, 10, 0), (200, 20, 0)]
    still = Image.open(io.BytesIO(made(data, loader, format="png", animated=False).data))
    assert still.convert("RGB").getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize("name", MOVING)
def test_frames_durations_loop_and_pixels_are_read_from_every_format(loader, frames, name):
    picture = animation(source(frames, name), loader)
    assert picture.durations == DURATIONS
    # Pillow writes AVIFs that are shown for ever.
    assert picture.loop == (0 if name == "avif" else 3)
    assert {frame.mode for frame in picture.frames} == {frames[0].mode}
    tolerance = {"gif": 6, "avif": 2}.get(name, 0)
    for frame, original in zip(picture.frames, frames, strict=True):
        assert difference(frame, original) <= tolerance


@pytest.mark.parametrize("wanted", MOVING)
@pytest.mark.parametrize("name", MOVING)
def test_animation_survives_resize_and_conversion_frame_by_frame(pillow, frames, name, wanted):
    rendered = made(source(frames, name), pillow, format=wanted, quality=90, operations=[{"op": "resize", "width": 80}])
    assert (rendered.format, rendered.width, rendered.height) == (wanted, 80, 60)
    again = animation(rendered.data, pillow)
    assert (again.size, len(again.frames), again.durations) == (Size(80, 60), len(frames), DURATIONS)
    assert again.loop == (0 if name == "avif" else 3)
    # Once for each time that it goes through 256 colours.
    tolerance = 5 + 2 * (name, wanted).count("gif")
    for frame, original in zip(again.frames, frames, strict=True):
        assert frame.mode == original.mode
        expected = original.resize((80, 60), Image.Resampling.LANCZOS)
        assert ssim(on_grey(frame), on_grey(expected)) > (0.86 if "gif" in (name, wanted) else 0.94)
        assert difference(frame, expected) < tolerance


@pytest.mark.parametrize("name", MOVING)
def test_both_loaders_make_the_same_bytes_of_an_animation(frames, name):
    steps = [{"op": "resize", "width": 50}, {"op": "filter", "name": "sharpen"}]
    both = [
        made(source(frames, name), choose_loader(LoaderChoice(loader)), operations=steps, format="webp").sha256
        for loader in ("vips", "pillow")
    ]
    assert both[0] == both[1]


def test_operations_reach_every_frame(loader, frames):
    steps = [{"op": "resize", "width": 40}, {"op": "filter", "name": "grayscale"}]
    picture = animation(made(source(frames, "webp"), loader, operations=steps, format="png").data, loader)
    assert len(picture.frames) == len(frames)
    for frame in picture.frames:
        red, green, blue = frame.convert("RGB").split()
        assert ImageChops.difference(red, green).getbbox() is None
        assert ImageChops.difference(red, blue).getbbox() is None


@pytest.mark.parametrize("output", [{"format": "webp", "animated": False}, {"format": "gif", "animated": False}])
def test_animated_false_makes_a_still_of_the_first_frame(loader, frames, output):
    rendered = made(source(frames, "gif"), loader, **output)
    assert frame_count(rendered.data, SourceFormat(rendered.format)) == 1
    assert difference(Image.open(io.BytesIO(rendered.data)), frames[0]) < 6


def test_format_without_animation_gives_the_first_frame(loader):
    frames = ball(4)
    rendered = made(source(ball(6), "webp"), loader, format="jpeg")
    assert difference(Image.open(io.BytesIO(rendered.data)), frames[0]) < 6


def test_one_job_makes_a_still_and_an_animation(loader, frames):
    outputs = [
        {"name": "poster", "format": "jpeg"},
        {"name": "small", "format": "webp", "operations": [{"op": "resize", "width": 40}]},
        {"name": "still", "format": "webp", "animated": False},
    ]
    rendering = render(source(frames, "gif"), parse_recipe({"outputs": outputs}), loader, PixelLimits())
    assert rendering.source.frames == len(frames)
    counts = [frame_count(rendered.data, SourceFormat(rendered.format)) for rendered in rendering.outputs()]
    assert counts == [1, len(frames), 1]


def test_source_format_keeps_an_animation(loader, frames):
    for name in MOVING:
        rendered = made(source(frames, name), loader)
        assert rendered.format == name
        assert frame_count(rendered.data, SourceFormat(name)) == len(frames)


def test_gif_stores_only_what_changes_and_repeated_frames_too(loader):
    frames = ball(6, size=(200, 150))
    durations = (33, 33, 33, 33, 33, 33, 33)
    data = saved([*frames, frames[-1]], "webp", durations, lossless=True)
    moved = made(data, loader, format="gif").data
    assert len(moved) < 2.2 * len(made(data, loader, format="gif", animated=False).data)
    # Hundredths of a second: what rounding takes from one frame it gives to another.
    picture = animation(moved, loader)
    assert sum(picture.durations) == 230
    assert set(picture.durations) <= {30, 40, 60, 70}


def test_no_metadata_is_left_in_any_frame(loader, frames):
    data = saved(frames, "webp", DURATIONS, lossless=True, xmp=b"<x>pixmill xmp</x>", exif=exif())
    assert b"pixmill xmp" in data
    for name in MOVING:
        assert b"pixmill" not in made(data, loader, format=name).data


def exif():
    block = Image.Exif()
    block[0x010F] = "pixmill camera"
    return block.tobytes()


def test_orientation_turns_every_frame(loader):
    frames = ball(3)
    block = Image.Exif()
    block[0x0112] = 6
    data = saved(frames, "webp", (50, 50, 50), lossless=True, exif=block.tobytes())
    picture = animation(data, loader)
    assert picture.size == Size(120, 160)
    for frame, original in zip(picture.frames, frames, strict=True):
        assert difference(frame, original.transpose(Image.Transpose.ROTATE_270)) == 0


# --- Limits, and files that lie about their frames ---


def many(count):
    return gif((4, 4), [Stored((0, 0, 1, 1), b"\1")] * count, palette=bytes(768))


def test_gif_of_a_hundred_thousand_frames_is_refused_by_its_structure(loader):
    error = refused(many(100_000), loader)
    assert error.code is ErrorCode.TOO_MANY_FRAMES
    assert "at least 10000 frames" in error.detail
    assert made(many(100_000), loader, format="jpeg").width == 4
    assert made(many(100_000), loader, animated=False).width == 4


def test_frames_at_the_limit_are_made_and_one_more_is_refused(loader):
    assert frame_count(made(many(5), loader, PixelLimits(frames=5)).data, SourceFormat.GIF) == 5
    assert refused(many(6), loader, PixelLimits(frames=5)).code is ErrorCode.TOO_MANY_FRAMES


def test_pixels_over_all_frames_are_limited_before_and_after(loader):
    assert made(many(5), loader, PixelLimits(animation=80))
    error = refused(many(5), loader, PixelLimits(animation=79))
    assert error.code is ErrorCode.TOO_MANY_PIXELS
    assert "5 frames of 4x4, 80 pixels in all" in error.detail
    wide = [{"op": "resize", "width": 8, "height": 8, "enlarge": True}]
    error = refused(many(5), loader, PixelLimits(animation=319), operations=wide)
    assert error.code is ErrorCode.TOO_MANY_PIXELS
    assert "Output o would have 5 frames of 8x8" in error.detail


@pytest.mark.parametrize("claim", [3, 499, 1_000_000_000])
def test_apng_that_claims_more_frames_than_it_has_is_refused(loader, claim):
    pieces = [(0, 0, Image.new("RGBA", (6, 6), (200, n, 0, 255)), 20, 0, False) for n in (10, 20)]
    code = refused(apng((6, 6), pieces, claimed=claim), loader).code
    assert code is (ErrorCode.UNDECODABLE if claim < 500 else ErrorCode.TOO_MANY_FRAMES)


def test_apng_that_has_more_frames_than_it_claims_shows_what_it_claims(loader):
    pieces = [(0, 0, Image.new("RGBA", (6, 6), (200, n, 0, 255)), 20, 0, False) for n in range(9)]
    assert len(animation(apng((6, 6), pieces, claimed=2), loader).frames) == 2


def test_frame_larger_than_the_screen_is_no_way_around_the_limits(loader):
    bomb = Stored((0, 0, 60_000, 60_000), b"\1")
    data = gif((4, 4), [Stored((0, 0, 4, 4), bytes(16)), bomb], palette=bytes(768))
    assert refused(data, loader).code is ErrorCode.UNDECODABLE
    assert refused(gif((4, 4), [bomb], palette=bytes(768)), loader).code is ErrorCode.TOO_MANY_PIXELS
    beyond = apng((6, 6), [(0, 0, Image.new("RGBA", (6, 6)), 9, 0, 0), (4, 4, Image.new("RGBA", (6, 6)), 9, 0, 0)])
    assert refused(beyond, loader).code is ErrorCode.UNDECODABLE


def test_damage_in_any_frame_is_undecodable_not_a_shorter_animation(loader):
    palette = bytes(range(256)) * 3
    whole = gif((9, 9), [Stored((0, 0, 9, 9), bytes([n] * 81)) for n in range(4)], palette=palette)
    cut = whole[: whole.rindex(packed(bytes([3] * 81))) + 30]
    assert refused(cut, loader).code is ErrorCode.UNDECODABLE
    for name in ("webp", "png", "avif"):
        data = source(ball(6), name)
        assert refused(data[: len(data) * 3 // 4], loader).code is ErrorCode.UNDECODABLE


@pytest.mark.parametrize("disposal", [KEEP, CLEAR, RESTORE])
def test_frame_without_a_size_shows_nothing_and_harms_nothing(loader, disposal):
    frames = [Stored((0, 0, 3, 3), bytes([5] * 9)), Stored((1, 1, 0, 0), b"", disposal), Stored((0, 0, 1, 1), b"\2")]
    picture = animation(gif((3, 3), frames, palette=bytes(range(256)) * 3), loader)
    assert picture.frames[1].tobytes() == picture.frames[0].tobytes()


@pytest.mark.parametrize("duration", [0, 10, 655_350])
def test_durations_at_the_ends_of_the_scale_are_written_by_every_format(loader, duration):
    pixels = (bytes([40] * 9), bytes([200] * 9), bytes([200] * 9))
    frames = [Stored((0, 0, 3, 3), each, delay=duration // 10) for each in pixels]
    data = gif((3, 3), frames, palette=bytes(range(256)) * 3)
    for name in MOVING:
        picture = animation(made(data, loader, format=name).data, loader)
        assert 2 <= len(picture.frames) <= 3
        # No frame of an AVIF lasts no time at all.
        assert picture.durations[0] == (duration or (name == "avif"))
