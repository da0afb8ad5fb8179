"""docs/imaging.md says what the operations are."""

from tools import imaging_docs


def test_document_is_what_the_operations_say() -> None:
    assert imaging_docs.TARGET.read_text() == imaging_docs.text(), "run: .venv/bin/python tools/imaging_docs.py"


def test_every_example_has_its_picture_and_no_other_lies_there() -> None:
    pictures = {path.stem for path in imaging_docs.PICTURES.iterdir()}
    assert pictures == set(imaging_docs.EXAMPLES), (
        "run: .venv/bin/python tools/imaging_docs.py, and git add docs/imaging"
    )
