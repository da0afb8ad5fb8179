"""A watermark in a recipe: strict in, canonical out, addressed by bytes."""

import json

import pytest

from pixmill_shared.domain.recipe import (
    Colour,
    Gravity,
    ImageMark,
    RecipeError,
    TextMark,
    Watermark,
    parse_recipe,
    recipe_hash,
)

ID = "0193f4a0-0000-7000-8000-00000000000a"
OTHER_ID = "0193f4a0-0000-7000-8000-00000000000b"
SHA, OTHER_SHA = "ab" * 32, "cd" * 32


def recipe_of(**step):
    return parse_recipe({"outputs": [{"name": "a", "operations": [{"op": "watermark", **step}]}]})


def step_of(**step):
    return recipe_of(**step).outputs[0].operations[0]


def pointers(**step):
    with pytest.raises(RecipeError) as caught:
        recipe_of(**step)
    at = "/outputs/0/operations/0"
    assert all(error.pointer.startswith(at) for error in caught.value.errors)
    return [error.pointer.removeprefix(at) for error in caught.value.errors]


def test_defaults_are_filled_in():
    image = step_of(image={"upload_id": ID.upper()})
    assert image == Watermark(ImageMark(ID), Gravity.CENTER, 0, 1.0, False, None)
    assert image.canonical() == {
        "op": "watermark",
        "image": {"upload_id": ID},
        "gravity": "center",
        "margin": 0,
        "opacity": 1.0,
        "tile": False,
    }
    text = step_of(text={"text": "©"})
    assert text.mark == TextMark("©", 32, Colour(255, 255, 255), "sans")
    assert text.canonical()["text"] == {"text": "©", "size": 32, "color": "#ffffff", "font": "sans"}


@pytest.mark.parametrize(
    "step",
    [
        {
            "image": {"upload_id": ID, "sha256": SHA},
            "gravity": "southeast",
            "margin": 12,
            "opacity": 0.5,
            "scale": 0.25,
        },
        {"text": {"text": "a\n日本", "size": 9, "color": "#12345678", "font": "DejaVu Sans-Bold"}, "tile": True},
    ],
)
def test_canonical_form_survives_a_round_trip(step):
    once = step_of(**step)
    again = json.loads(json.dumps(once.canonical()))
    assert step_of(**{key: value for key, value in again.items() if key != "op"}) == once


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ({}, [""]),
        ({"image": {"upload_id": ID}, "text": {"text": "a"}}, [""]),
        ({"image": ID}, ["/image"]),
        ({"image": {}}, ["/image/upload_id"]),
        ({"image": {"upload_id": "x"}}, ["/image/upload_id"]),
        ({"image": {"upload_id": ID.replace("-", "")}}, ["/image/upload_id"]),
        ({"image": {"upload_id": 7}}, ["/image/upload_id"]),
        ({"image": {"upload_id": ID, "sha256": SHA.upper()}}, ["/image/sha256"]),
        ({"image": {"upload_id": ID, "url": "https://example.com"}}, ["/image/url"]),
        ({"image": {"upload_id": ID}, "gravity": "middle"}, ["/gravity"]),
        ({"image": {"upload_id": ID}, "gravity": "smart"}, ["/gravity"]),
        ({"image": {"upload_id": ID}, "margin": -1}, ["/margin"]),
        ({"image": {"upload_id": ID}, "opacity": 1.01}, ["/opacity"]),
        ({"image": {"upload_id": ID}, "opacity": True}, ["/opacity"]),
        ({"image": {"upload_id": ID}, "tile": 1}, ["/tile"]),
        ({"image": {"upload_id": ID}, "scale": 0}, ["/scale"]),
        ({"image": {"upload_id": ID}, "scale": 1.1}, ["/scale"]),
        ({"image": {"upload_id": ID}, "size": 3}, ["/size"]),
        ({"text": {"text": "a"}, "scale": 0.5}, ["/scale"]),
        ({"text": "a"}, ["/text"]),
        ({"text": {}}, ["/text/text"]),
        ({"text": {"text": 5}}, ["/text/text"]),
        ({"text": {"text": ""}}, ["/text/text"]),
        ({"text": {"text": " \n "}}, ["/text/text"]),
        ({"text": {"text": "a" * 501}}, ["/text/text"]),
        ({"text": {"text": "a\n" * 20}}, ["/text/text"]),
        # A database takes neither; a font shows neither.
        ({"text": {"text": "a\x00"}}, ["/text/text"]),
        ({"text": {"text": "a\ud800"}}, ["/text/text"]),
        ({"text": {"text": "a\tb"}}, ["/text/text"]),
        ({"text": {"text": "a", "size": 0}}, ["/text/size"]),
        ({"text": {"text": "a", "size": 1001}}, ["/text/size"]),
        ({"text": {"text": "a", "color": "#12"}}, ["/text/color"]),
        ({"text": {"text": "a", "font": "../../etc/passwd"}}, ["/text/font"]),
        ({"text": {"text": "a", "font": "/usr/share/fonts/a.ttf"}}, ["/text/font"]),
        ({"text": {"text": "a", "font": ""}}, ["/text/font"]),
        ({"text": {"text": "a", "colour": "#123"}}, ["/text/colour"]),
    ],
)
def test_what_is_wrong_is_refused_where_it_is_wrong(step, wrong):
    assert pointers(**step) == wrong


def test_text_that_means_the_same_is_written_the_same():
    composed, decomposed = step_of(text={"text": "é\nb"}), step_of(text={"text": "e\u0301\r\nb"})
    assert composed == decomposed


def address(**step):
    return recipe_hash(recipe_of(**step).outputs[0])


def test_bytes_of_the_image_decide_the_address_and_its_id_does_not():
    one, other = ({"upload_id": upload_id, "sha256": SHA} for upload_id in (ID, OTHER_ID))
    assert address(image=one) == address(image=other)
    assert address(image=one) != address(image={**one, "sha256": OTHER_SHA})
    assert address(image=one) != address(image=one, opacity=0.5)
    # Not pinned yet: nothing but the id tells what it is.
    assert address(image={"upload_id": ID}) != address(image={"upload_id": OTHER_ID})


def test_pinning_adds_the_digest_and_leaves_texts_alone():
    image = step_of(image={"upload_id": ID}, margin=3)
    assert image.pinned(SHA) == step_of(image={"upload_id": ID, "sha256": SHA}, margin=3)
    text = step_of(text={"text": "a"})
    assert text.pinned(SHA) is text
