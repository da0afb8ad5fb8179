"""Presets without a server: names, built-in recipes, and which of recipe and preset a request has."""

from typing import Any

import pytest

from pixmill_api.domain.builtin_presets import BUILTIN
from pixmill_api.domain.etags import matches
from pixmill_api.domain.presets import Reference, cursor_after, parse_cursor, parse_reference
from pixmill_api.errors import InvalidRequest
from pixmill_api.process_schemas import ProcessRequest
from pixmill_api.reading import read_job, read_preset, read_short
from pixmill_api.service.presets import builtin_version
from pixmill_shared.domain.recipe import Limits, Recipe, parse_recipe

LIMITS = Limits()
RECIPE = {"outputs": [{"name": "a"}]}
SOURCE = {"url": "https://example.com/a.jpg"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", Reference("web", None)),
        ("web@3", Reference("web", 3)),
        ("social-card@0", Reference("social-card", 0)),
        ("a@999999999", Reference("a", 999_999_999)),
        *(
            (text, None)
            for text in ("", "Web", "-a", "web@", "web@03", "web@-1", "web@1000000000", "a b", "a\n", "a@1\n")
        ),
        ("a" * 65, None),
    ],
)
def test_reference_is_a_name_or_a_name_and_a_version(text: str, expected: Reference | None) -> None:
    assert parse_reference(text) == expected


def test_cursor_of_ours_is_read_back_and_no_other_is() -> None:
    for name in ("a", "social-card", "z" * 64):
        assert parse_cursor(cursor_after(name)) == name
    for text in ("", "%%", "YQ==", "QQ", "YR", "\xff", cursor_after("a") + "A"):
        assert parse_cursor(text) is None


def test_builtin_presets_are_the_five_with_readable_recipes() -> None:
    assert set(BUILTIN) == {"thumbnail", "web", "avatar", "social-card", "responsive"}
    for name in BUILTIN:
        found = builtin_version(name)
        assert found is not None
        assert found.version == 0
        assert found.description
        assert parse_recipe(found.recipe).canonical() == found.recipe
    assert len(BUILTIN["responsive"].recipe["outputs"]) == 5


def pointers(read: Any, *arguments: object) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        read(*arguments)
    return [error.pointer for error in caught.value.errors]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, ["/recipe"]),
        ({"recipe": None, "preset": None}, ["/recipe"]),
        ({"recipe": RECIPE, "preset": "web"}, ["/preset"]),
        ({"preset": "Web"}, ["/preset"]),
        ({"preset": 3}, ["/preset"]),
        ({"recipe": {"outputs": [{}]}}, ["/recipe/outputs/0/name"]),
        ({"recipe": RECIPE, "priority": "x"}, ["/priority"]),
        ({"priority": "x"}, ["/priority", "/recipe"]),
    ],
)
def test_job_has_exactly_one_of_recipe_and_preset(choice: dict[str, Any], expected: list[str]) -> None:
    assert pointers(read_job, {"source": SOURCE, **choice}, LIMITS) == expected


def test_job_with_a_preset_has_no_recipe_yet() -> None:
    body, recipe = read_job({"source": SOURCE, "preset": "web@2", "recipe": None}, LIMITS)
    assert (body.preset, recipe) == ("web@2", None)
    body, recipe = read_job({"source": SOURCE, "recipe": RECIPE, "preset": None}, LIMITS)
    assert body.preset is None
    assert isinstance(recipe, Recipe)


@pytest.mark.parametrize("name", ["width", "height", "filter"])
def test_short_form_has_a_preset_or_a_box(name: str) -> None:
    value: Any = "sepia" if name == "filter" else 9
    document = {"image_url": "https://example.com/a.jpg", "preset": "web"}
    assert read_short(ProcessRequest, document)[1] is None
    assert pointers(read_short, ProcessRequest, {**document, name: value}) == ["/preset"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ["/recipe"]),
        ([], [""]),
        ({"recipe": None}, ["/recipe"]),
        ({"recipe": RECIPE, "description": "x" * 501, "other": 1}, ["/description", "/other"]),
        ({"recipe": {"outputs": [{"name": "a", "format": "bmp"}]}}, ["/recipe/outputs/0/format"]),
    ],
)
def test_preset_is_read_with_the_pointers_of_its_body(document: object, expected: list[str]) -> None:
    assert pointers(read_preset, document, LIMITS) == expected


@pytest.mark.parametrize(
    ("if_match", "current", "expected"),
    [
        ('"3"', '"3"', True),
        (' "2" ,"3"', '"3"', True),
        ("*", '"3"', True),
        ("*", None, False),
        ('"3"', None, False),
        ('W/"3"', '"3"', False),
        ("3", '"3"', False),
        ('"33"', '"3"', False),
        ("", '"3"', False),
    ],
)
def test_if_match_names_what_the_client_has_seen(if_match: str, current: str | None, expected: bool) -> None:
    assert matches(if_match, current) is expected
