"""The name of an output's copy: a template that is checked when the job is made, and says nothing about the pixels."""

import pytest

from pixmill_shared.domain.recipe import OutputNames, RecipeError, output_key, parse_recipe, recipe_hash

NAMES = OutputNames("0193", "webp", "c0ffee")


def recipe(*outputs: dict[str, object]) -> dict[str, object]:
    return {"outputs": list(outputs)}


def errors(*outputs: dict[str, object]) -> dict[str, str]:
    with pytest.raises(RecipeError) as raised:
        parse_recipe(recipe(*outputs))
    return {error.pointer: error.detail for error in raised.value.errors}


@pytest.mark.parametrize(
    ("template", "key"),
    [
        (None, "0193/web.webp"),
        ("{name}-{sha256}.{ext}", "web-c0ffee.webp"),
        ("a b/ü/{job_id}", "a b/ü/0193"),
        ("fixed.jpg", "fixed.jpg"),
    ],
)
def test_template_is_filled_in(template: str | None, key: str) -> None:
    (output,) = parse_recipe(recipe({"name": "web", **({"key": template} if template else {})})).outputs
    assert output_key(output, NAMES) == key


@pytest.mark.parametrize(
    "template",
    [
        *(
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            "a/./b",
            "{name}/..",
            "a\\b",
            "a%2e",
            "a?b",
            "a#1",
            "a\0",
            "x" * 301,
        ),
        *("{", "}", "{name", "{{name}}", "{width}", "{}", "{NAME}", "{name.real}", "{0}", "{name!r}", "a" * 210),
        *(17, None, ["a"]),
    ],
)
def test_template_that_could_leave_the_destination_or_means_nothing_is_refused(template: object) -> None:
    assert list(errors({"name": "web", "key": template})) == ["/outputs/0/key"]


def test_unknown_placeholder_is_told_with_those_that_are_known() -> None:
    detail = errors({"name": "web", "key": "{width}.{ext}"})["/outputs/0/key"]
    assert "{width}" in detail
    assert "{job_id}, {name}, {ext}, {sha256}" in detail


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"key": "a.jpg"}, {"key": "a.jpg"}),
        ({"key": "{job_id}/b.{ext}"}, {"name": "b"}),
        ({"key": "x.{ext}", "format": "source"}, {"key": "x.png"}),
        ({"key": "x.{ext}", "format": "jpeg"}, {"key": "x.{ext}", "format": "auto"}),
        ({"key": "a"}, {"key": "a/b"}),
        ({"key": "a/b/{name}"}, {"key": "a"}),
    ],
)
def test_two_outputs_that_could_meet_are_refused(first: dict[str, object], second: dict[str, object]) -> None:
    assert list(errors({"name": "a", **first}, {"name": "b", **second})) == ["/outputs/1/key"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"key": "x.{ext}", "format": "jpeg"}, {"key": "x.{ext}", "format": "webp"}),
        ({"key": "{sha256}"}, {"key": "{sha256}"}),
        ({"key": "{name}.{ext}"}, {"key": "{name}.{ext}"}),
        ({"key": "a"}, {"key": "ab"}),
    ],
)
def test_two_outputs_that_cannot_meet_are_taken(first: dict[str, object], second: dict[str, object]) -> None:
    assert parse_recipe(recipe({"name": "a", **first}, {"name": "b", **second}))


def test_key_is_kept_in_the_row_and_is_no_part_of_the_rendition() -> None:
    with_key = parse_recipe(recipe({"name": "web", "key": "{name}.{ext}"}))
    (plain,) = parse_recipe(recipe({"name": "web"})).outputs
    assert parse_recipe(with_key.canonical()) == with_key
    assert recipe_hash(with_key.outputs[0]) == recipe_hash(plain)
    assert "key" not in plain.canonical()
