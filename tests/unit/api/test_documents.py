"""JSON from outside: what may be kept."""

import json
import tracemalloc
from typing import Any

import pytest

from pixmill_api.domain.documents import MAX_DEPTH, read_document, unstorable, wrong_metadata
from pixmill_shared.domain.json_reader import MOST_OF_POINTER, join_pointer


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"-Infinity", b"\xff", b"[" * 100_000, b"1" * 5000, b"{", b""])
def test_what_is_no_json_is_a_sentence(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^The body .*\.$"):
        read_document(body)


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ("\x00", ""),
        ({"a": ["x", "y\x00"]}, "/a/1"),
        ({"a/b": {"c~d": "\udc00"}}, "/a~1b/c~0d"),
        ({"a": {"k\x00": 1}}, "/a"),
        ({"a": float("inf")}, "/a"),
        ({"a": nested(MAX_DEPTH)}, "/a" + "/0" * (MAX_DEPTH - 1)),
    ],
)
def test_what_no_row_can_keep_is_found_with_its_place(document: Any, pointer: str) -> None:
    assert [error.pointer for error in unstorable(document)] == [pointer]


def test_every_other_text_can_be_kept() -> None:
    document = {"a": "\x01 é 😀 \u2028", "b": [nested(MAX_DEPTH - 3), None, True, 1e300, 10**40]}
    assert unstorable(document) == []
    assert json.dumps(document)


def test_search_for_errors_ends_early() -> None:
    assert len(unstorable(["\x00"] * 100_000)) == 50


def test_pointer_repeats_the_beginning_of_a_long_key_only() -> None:
    assert [error.pointer for error in unstorable({"k" * 10_000: ["\x00"]})] == [
        "/" + "k" * (MOST_OF_POINTER - 2) + "…"
    ]
    assert join_pointer("", "k" * (MOST_OF_POINTER - 1)) == "/" + "k" * (MOST_OF_POINTER - 1)


@pytest.mark.parametrize("longer", range(3))
def test_pointer_that_is_cut_is_still_one(longer: int) -> None:
    pointer = join_pointer(join_pointer("", "k" * longer + "~" * 10_000), "x")
    assert len(pointer) <= MOST_OF_POINTER
    assert pointer == "/" + "k" * longer + "~0" * pointer.count("~0") + "…"


def test_long_key_of_many_items_takes_no_memory_for_each_of_them() -> None:
    document = {"k" * 100_000: list(range(1_000))}
    tracemalloc.start()
    try:
        assert unstorable(document) == []
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "metadata", [{"a": {}}, {"a": []}, {"": 1}, {"k" * 65: 1}, {"a": "x" * 8_000}, {str(n): 0 for n in range(51)}]
)
def test_metadata_is_flat_and_small(metadata: dict[str, Any]) -> None:
    assert wrong_metadata(metadata)


def test_metadata_of_fifty_keys_is_taken() -> None:
    assert wrong_metadata({str(n): value for n in range(12) for value in ("x", 1, 1.5, None, True)}) is None
    assert wrong_metadata({f"k{n}": n for n in range(50)}) is None
