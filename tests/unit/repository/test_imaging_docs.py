"""docs/imaging.md says what the operations are."""

import re

import pytest
from tools import imaging_docs

from pixmill_shared.domain.recipe import FILTERS, OPERATIONS


def test_document_is_what_the_operations_say() -> None:
    assert imaging_docs.TARGET.read_text() == imaging_docs.text(), "run: .venv/bin/python tools/imaging_docs.py"


def test_every_example_has_its_picture_and_no_other_lies_there() -> None:
    pictures = {path.stem for path in imaging_docs.PICTURES.iterdir()}
    assert pictures == set(imaging_docs.EXAMPLES), (
        "run: .venv/bin/python tools/imaging_docs.py, and git add docs/imaging"
    )


@pytest.mark.parametrize("name", [*OPERATIONS, *FILTERS])
def test_words_about_an_operation_name_what_a_recipe_may_say(name: str) -> None:
    kind = {**OPERATIONS, **FILTERS}[name]
    words = re.findall("`([a-z_]+)`", imaging_docs.explained(kind))
    known = {*kind.SCHEMA, *re.findall(r"'const': '(\w+)'", str(kind.SCHEMA))}
    assert set(words) <= known, f"Name the fields of a recipe in the docstring of {kind.__name__}, not its attributes."
    assert "None" not in imaging_docs.explained(kind)
