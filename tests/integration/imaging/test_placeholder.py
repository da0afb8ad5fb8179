"""Cards that stand for pictures: the same each time, whatever the text, and marked as what they are."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from pixmill_imaging.pillow.card import placeholder_card
from pixmill_imaging.pillow.fonts import Face, FontBook
from pixmill_imaging.providers.placeholder import PlaceholderProvider
from pixmill_imaging.providers.protocol import Subject

FONTS = FontBook((Path("/usr/share/fonts"),))
#: Left, top, right, bottom of what each part of the card is in.
NAME = (0, 190, 1024, 750)
CATEGORY = (0, 80, 1024, 145)
BAND = (0, 876, 1024, 1024)


class Bare(FontBook):
    """As where no fonts are installed."""

    default = Face(None)


def card(name: str, category: str = "", fonts: FontBook = FONTS) -> Image.Image:
    drawn = PlaceholderProvider(fonts).draw(Subject(name, category, "whatever"))
    assert drawn.media_type == "image/png"
    image = Image.open(io.BytesIO(drawn.data))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (1024, 1024))
    return image


def darkest(image: Image.Image, box: tuple[int, int, int, int]) -> int:
    return int(image.crop(box).convert("L").getextrema()[0])


def test_name_is_written_large_and_the_category_above_it() -> None:
    named, both = card("枝豆"), card("枝豆", "前菜")
    assert darkest(named, NAME) < 90
    assert darkest(named, CATEGORY) > 180 > darkest(both, CATEGORY)


def band(name: str) -> Image.Image:
    """What is bright in it: 255 there, 0 elsewhere."""
    return card(name).crop(BAND).convert("L").point(lambda level: 255 * (level > 200))


def test_every_card_says_that_it_is_a_placeholder() -> None:
    first = band("枝豆")
    left, top, right, bottom = first.getbbox()
    assert right - left > 400
    assert bottom - top > 40
    for name in ("Ramen", "", "x" * 1000):
        # Nothing but the edges of letters differs, which are mixed with the colour of the ground.
        changed = ImageChops.difference(first, band(name)).histogram()[255]
        assert changed < first.histogram()[255] / 10


def test_same_subject_gives_the_same_bytes_and_other_names_other_colours() -> None:
    provider = PlaceholderProvider(FONTS)
    subject = Subject("Today's Special", "Mains", "one prompt")
    again = Subject("Today's Special", "Mains", "another prompt")
    assert provider.draw(subject).data == PlaceholderProvider(FontBook((Path("/usr/share/fonts"),))).draw(again).data
    grounds = {card(f"dish {number}").getpixel((2, 2)) for number in range(6)}
    assert len(grounds) > 4


def test_what_cannot_be_seen_is_a_space() -> None:
    assert placeholder_card(" a\0\x1b\n\u202eb ", "\r", FONTS) == placeholder_card("a b", "", FONTS)


def test_japanese_is_not_drawn_as_boxes() -> None:
    assert card("枝").crop(NAME).tobytes() != card("豆").crop(NAME).tobytes()
    one, other = (card(name).crop(NAME).convert("L").point(lambda level: 255 * (level < 100)) for name in ("枝", "豆"))
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    "name",
    [
        "",
        " \n\t ",
        "\0",
        "a\0b\x1b[31m",
        "x" * 100_000,
        "word " * 20_000,
        "شوربة العدس الأحمر مع الليمون",
        "ABC אבג 123 \u202eevil",
        "🍣🍜🍺👩‍🍳🇯🇵",
        "\ud800",
        "\u200d\u200c",
        "e" + "\u0301" * 5_000,
        "\ufdfd" * 200,
        "<b>../../etc/passwd</b>",
    ],
    ids=[
        *("empty", "blank", "nul", "control", "100-kb", "many-words", "arabic", "both-ways", "emoji", "surrogate"),
        *("joiners", "accents", "wide", "markup"),
    ],
)
@pytest.mark.parametrize("fonts", [FONTS, Bare()], ids=["fonts", "bare"])
def test_no_text_makes_it_fail_or_run_into_the_band(name: str, fonts: FontBook) -> None:
    image = card(name, name, fonts)
    # Its edges are ground: nothing was written beyond the margins.
    assert len(image.crop((0, 0, 60, 800)).getcolors()) <= 60
    assert image.crop((0, 860, 10, 875)).getcolors() == [(150, image.getpixel((2, 2)))]


@settings(max_examples=15, deadline=None)
@given(name=st.text(max_size=40), category=st.text(max_size=20))
def test_any_text_gives_a_card(name: str, category: str) -> None:
    assert placeholder_card(name, category, FONTS).startswith(b"\x89PNG")


def test_card_costs_nothing_and_its_identity_names_the_font() -> None:
    provider = PlaceholderProvider(FONTS)
    assert (provider.name, provider.price) == ("placeholder", 0)
    assert provider.identity != PlaceholderProvider(Bare()).identity
