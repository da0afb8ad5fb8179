"""Chunks and file names of jobs that generate pictures, and how long they take."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.generation import SAFE_LENGTH, chunks_of, distinct, safe_name, seconds_left


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Today's Special", "todays_special"),
        ("  Crème   brûlée ", "creme_brulee"),
        ("../../etc/passwd", "etcpasswd"),
        ("a_b - c", "a_b_c"),
        ("ＥＤＡＭＡＭＥ ２", "edamame_2"),
        ("x" * 100, "x" * 30),
        ("a" * 29 + " b", "a" * 29),
        ("<b>Bold</b>", "bboldb"),
    ],
)
def test_name_of_a_file_is_what_is_left_of_letters_and_digits(name: str, expected: str) -> None:
    assert safe_name(name) == expected


def test_name_without_latin_letters_has_a_name_of_its_own_that_stays() -> None:
    assert safe_name("枝豆") == safe_name("枝豆")
    assert len({safe_name(name) for name in ("枝豆", "冷奴", "🍜", "", "...")}) == 5


@given(st.text())
def test_any_name_makes_a_file_name_that_every_system_takes(name: str) -> None:
    found = safe_name(name)
    assert re.fullmatch("[a-z0-9_]{1,30}", found)
    assert not found.startswith("_")
    assert not found.endswith("_")
    assert safe_name(found) == found


@given(st.lists(st.text("ab_2", min_size=1, max_size=4).map(safe_name)))
def test_no_two_files_of_a_job_have_one_name(names: list[str]) -> None:
    found = distinct(names)
    assert len(found) == len(names) == len(set(found))
    assert all(len(name) <= SAFE_LENGTH for name in found)
    seen: set[str] = set()
    for name, chosen in zip(names, found, strict=True):
        if name not in seen:
            assert chosen == name
        seen.add(chosen)


def test_second_file_of_a_name_is_numbered_within_the_length() -> None:
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"]
    long = "x" * SAFE_LENGTH
    assert distinct([long, long]) == [long, "x" * (SAFE_LENGTH - 2) + "_2"]
    assert distinct(["a", "a_2", "a"]) == ["a", "a_2", "a_3"]


@given(st.lists(st.text("abc", max_size=2)), st.integers(1, 5))
def test_a_chunk_has_so_many_prompts_and_all_of_each(prompts: list[str], size: int) -> None:
    chunks = chunks_of(prompts, size)
    together: dict[int, set[str]] = {}
    for prompt, chunk in zip(prompts, chunks, strict=True):
        together.setdefault(chunk, set()).add(prompt)
    assert sorted(together) == list(range(len(together)))
    assert all(len(some) == size for chunk, some in together.items() if chunk < len(together) - 1)
    assert sum(map(len, together.values())) == len(set(prompts))


@pytest.mark.parametrize(
    ("items", "chunks", "at_once", "seconds", "expected"),
    [(0, 0, 3, 5.0, 0), (9, 3, 3, 5.0, 15), (18, 6, 3, 5.0, 30), (3, 1, 3, None, 24), (20, 7, 3, 1.0, 9)],
)
def test_seconds_that_are_left(items: int, chunks: int, at_once: int, seconds: float | None, expected: int) -> None:
    assert seconds_left(items, chunks, at_once, seconds) == expected


def test_what_is_left_takes_no_less_than_the_provider_may_be_asked_in() -> None:
    assert seconds_left(60, 20, 3, 1.0, pause=2.0) == 120
    assert seconds_left(60, 20, 3, 8.0, pause=2.0) == 168
