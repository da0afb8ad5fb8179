"""Text laid over pictures: any script, any length, never beyond the picture."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFont

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.fonts import Face, FontBook
from pixmill_imaging.pillow.text import fonts_identity, lines_of
from pixmill_imaging.service.assets import Assets, fonts_of, nothing_to_read
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.render import render
from pixmill_imaging.settings import LoaderChoice
from pixmill_imaging.testing.pictures import encoded
from pixmill_shared.domain.recipe import TextMark, parse_recipe

GROUND = (20, 40, 60)
#: Small letters of Latin only; what the bundled font is compared with.
BUILT_IN = Face(None)


class Bare(FontBook):
    """As where the extra is not installed."""

    default = BUILT_IN


@pytest.fixture(params=["vips", "pillow"])
def loader(request):
    return choose_loader(LoaderChoice(request.param))


@pytest.fixture(scope="module")
def ground():
    return Image.new("RGB", (200, 100), GROUND)


def written(ground, text, fonts=None, loader=None, size=None, color=None, font=None, **step):
    loader = loader or choose_loader(LoaderChoice.PILLOW)
    given = {"size": size, "color": color, "font": font}
    mark = {"text": text, **{key: value for key, value in given.items() if value is not None}}
    operations = [{"op": "watermark", "text": mark, **step}]
    recipe = parse_recipe({"outputs": [{"name": "a", "format": "png", "operations": operations}]})
    assets = Assets(nothing_to_read, loader, PixelLimits(), fonts or FontBook())
    (output,) = render(encoded(ground, "PNG"), recipe, loader, PixelLimits(), assets).outputs()
    return Image.open(io.BytesIO(output.data)).convert("RGB")


def ink(image, ground):
    """The box of what was written."""
    return ImageChops.difference(image, ground).getbbox()


def font_file(directory: Path, name: str) -> Path:
    """The font that is built into Pillow, as a file of its own."""
    path = directory / name
    path.write_bytes(ImageFont.load_default(16).font_bytes)
    return path


@pytest.mark.parametrize(
    ("gravity", "edges"),
    [
        ("northwest", (7, 7, None, None)),
        ("northeast", (None, 7, 193, None)),
        ("southwest", (7, None, None, 93)),
        ("southeast", (None, None, 193, 93)),
        ("north", (None, 7, None, None)),
        ("south", (None, None, None, 93)),
        ("west", (7, None, None, None)),
        ("east", (None, None, 193, None)),
    ],
)
def test_ink_is_exactly_a_margin_away_from_the_edges_that_gravity_names(ground, loader, gravity, edges):
    box = ink(written(ground, "Ág", loader=loader, gravity=gravity, margin=7, size=24), ground)
    assert all(wanted in (None, found) for wanted, found in zip(edges, box, strict=True))


def test_text_without_a_gravity_is_in_the_middle(ground, loader):
    left, upper, right, lower = ink(written(ground, "HHH", loader=loader), ground)
    assert abs((left + right) - 200) <= 1
    assert abs((upper + lower) - 100) <= 1


def test_size_is_of_the_em_and_color_is_the_colour(ground):
    small, large = (ink(written(ground, "H", size=size, fonts=Bare()), ground) for size in (20, 60))
    assert 2.8 <= (large[3] - large[1]) / (small[3] - small[1]) <= 3.2
    assert 0.6 <= (large[3] - large[1]) / 60 <= 0.85
    block = written(ground, "█" * 4, color="#f00", size=60)
    assert block.getpixel((100, 50)) == (255, 0, 0)
    half = written(ground, "█" * 4, color="#ff000080", size=60).getpixel((100, 50))
    assert all(abs(a - b) <= 1 for a, b in zip(half, (138, 20, 30), strict=True))
    assert written(ground, "█" * 4, color="#ff000080", size=60, opacity=0).getpixel((100, 50)) == GROUND


def test_lines_are_flush_with_the_edge_of_gravity(ground):
    def lefts(gravity):
        image = written(ground, "HHHH\nH", size=30, gravity=gravity)
        left, upper, right, lower = ink(image, ground)
        below = ink(image.crop((0, (upper + lower) // 2, 200, 100)), ground.crop((0, (upper + lower) // 2, 200, 100)))
        return left, right, below[0], below[2]

    left, _, below_left, _ = lefts("west")
    assert below_left == left
    _, right, _, below_right = lefts("east")
    assert below_right == right
    left, right, below_left, below_right = lefts("center")
    assert abs((left + right) - (below_left + below_right)) <= 2


@pytest.mark.parametrize(
    "text", ["W" * 500, "W\n" * 19 + "W", "日本語" * 100, "long words " * 40, "\n".join(["x" * 24] * 20)]
)
@pytest.mark.parametrize("size", [(200, 100), (31, 400), (5, 3), (1, 1)])
def test_text_never_exceeds_the_picture_within_its_margins(text, size):
    ground = Image.new("RGB", size, GROUND)
    image = written(ground, text, size=1000, margin=2, gravity="southeast")
    assert image.size == size
    box = ink(image, ground)
    margins = [min(2, (side - 1) // 2) for side in size]
    if box is not None:
        assert box[0] >= margins[0]
        assert box[1] >= margins[1]
        assert box[2] <= size[0] - margins[0]
        assert box[3] <= size[1] - margins[1]


def test_text_that_is_too_large_is_set_smaller_and_fills_the_width(ground):
    left, _, right, _ = ink(written(ground, "HIIIIIIIIIIIIIIH", size=900), ground)
    assert right - left >= 180


def test_japanese_is_no_row_of_boxes_with_the_bundled_font(ground):
    def boxes(fonts):
        one, other = (written(ground, character, size=60, fonts=fonts).tobytes() for character in "日本")
        return one == other

    assert boxes(Bare())
    assert not boxes(FontBook())


@pytest.mark.parametrize(
    "text",
    [
        "😀👩‍👩‍👧",
        "\U000e0001",
        "\u200b",
        "\u202eabc",
        "﷽",
        "e" + "\u0301" * 60,
        "\ufffe",
        "ก็ ਪੰਜਾਬੀ मराठी",
        "𠮷𓀀",
        "a\n\nb",
    ],
)
def test_what_no_font_has_is_drawn_somehow_and_never_an_error(ground, text):
    for fonts in (FontBook(), Bare()):
        assert written(ground, text, fonts=fonts).size == ground.size


def test_any_characters_can_be_written(ground):
    dice = random.Random(3)
    for _ in range(20):
        codes = [dice.choice((dice.randrange(32, 0x3000), dice.randrange(0xE000, 0x20000))) for _ in range(30)]
        text = "x" + "".join(map(chr, codes))
        allowed = "".join(c for c in text if not (0x7F <= ord(c) < 0xA0))
        assert written(ground, allowed).size == ground.size


def test_each_character_is_drawn_by_the_first_font_that_has_it():
    (line,) = lines_of(TextMark("ab日本c"), FontBook())
    assert [run.text for run in line] == ["ab日本c"]
    bundled = FontBook().default

    class Both(Bare):
        def faces(self, name):
            yield BUILT_IN
            yield bundled

    (line,) = lines_of(TextMark("ab日本 c\u0301"), Both())
    assert [(run.face, run.text) for run in line] == [(BUILT_IN, "ab"), (bundled, "日本 "), (BUILT_IN, "c\u0301")]


def test_font_that_is_asked_for_by_its_file_name_is_taken_and_a_missing_one_is_no_error(ground, tmp_path):
    font_file(tmp_path, "My Hand-Bold.ttf")
    book = FontBook((tmp_path,))
    assert next(book.faces("myhand bold")).digest == BUILT_IN.digest
    assert next(book.faces("nobody's")).digest == book.default.digest
    named, default = (written(ground, "Hamburg", fonts=book, font=font) for font in ("My Hand Bold", None))
    assert named.tobytes() == written(ground, "Hamburg", fonts=Bare()).tobytes()
    assert named.tobytes() != default.tobytes()
    assert written(ground, "Hamburg", font="No Such Font").tobytes() == default.tobytes()


def test_file_that_is_no_font_is_passed_over(ground, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"\0\1\0\0" + b"garbage" * 50)
    (tmp_path / "empty.otf").write_bytes(b"")
    book = FontBook((tmp_path,))
    assert written(ground, "H日", fonts=book, font="broken").tobytes() == written(ground, "H日").tobytes()


def test_fonts_that_draw_a_text_are_part_of_its_address(tmp_path):
    text = TextMark("Hamburg")
    assert fonts_identity([text], FontBook()) == fonts_identity([text], FontBook())
    assert fonts_identity([text], FontBook()) != fonts_identity([text], Bare())
    # A font that has no part in it does not change the address.
    font_file(tmp_path, "Other.ttf")
    assert fonts_identity([text], FontBook((tmp_path,))) == fonts_identity([text], FontBook())
    named = TextMark("Hamburg", font="Other")
    assert fonts_identity([named], FontBook((tmp_path,))) != fonts_identity([named], FontBook())


def test_recipes_without_text_have_the_address_that_they_had():
    recipe = parse_recipe({"outputs": [{"name": "a", "operations": [{"op": "filter", "name": "blur"}]}]})
    assert fonts_of(recipe.outputs[0], FontBook()) == ""


def test_text_is_drawn_the_same_each_time(ground):
    assert written(ground, "日本 Ág\nz").tobytes() == written(ground, "日本 Ág\nz").tobytes()
