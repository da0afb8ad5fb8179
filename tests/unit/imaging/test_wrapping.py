"""Where lines break. Each character is half an em wide here, and a line one em high."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.geometry import Size
from pixmill_imaging.domain.wrapping import pieces, wrapped

SIZES = (100, 50, 20)


def lines(text: str, width: int = 400, height: int = 400) -> tuple[list[str], int]:
    found = wrapped(text, lambda part: len(part) / 2, 1.0, Size(width, height), SIZES)
    return found.lines, found.size


def test_short_text_is_one_line_in_the_largest_size() -> None:
    assert lines("Edamame") == (["Edamame"], 100)


def test_words_stay_whole_while_there_is_a_size_in_which_they_fit() -> None:
    assert lines("Salmon sashimi platter") == (["Salmon", "sashimi", "platter"], 100)
    assert lines("Bouillabaisse") == (["Bouillabaisse"], 50)


def test_lines_have_about_the_same_length() -> None:
    assert lines("aaaa bbb cc") == (["aaaa", "bbb cc"], 100)


def test_word_that_fits_in_no_size_is_cut() -> None:
    assert lines("x" * 45, width=200) == (["x" * 8] * 5 + ["x" * 5], 50)


def test_size_is_smaller_where_there_would_be_too_many_lines() -> None:
    assert lines("aaaa bbbb cccc dddd", width=200, height=210) == (["aaaa", "bbbb", "cccc", "dddd"], 50)


def test_text_that_fits_nowhere_is_in_the_smallest_size() -> None:
    found, size = lines("x" * 10_000)
    assert size == 20
    assert "".join(found) == "x" * 10_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("枝豆", ["枝", "豆"]),
        ("ラーメン。", ["ラー", "メ", "ン。"]),
        ("（五種）盛り", ["（五", "種）", "盛", "り"]),
        ("カフェ latte", ["カ", "フェ", "latte"]),
        ("が\u3099ぎ", ["が\u3099", "ぎ"]),
        ("👩\u200d🍳!", ["👩\u200d🍳", "!"]),
        ("", []),
    ],
)
def test_scripts_without_spaces_break_between_characters_but_not_before_punctuation(
    text: str, expected: list[str]
) -> None:
    assert [piece.text for piece in pieces(text)] == expected


@given(st.text(max_size=60))
def test_nothing_is_lost_but_space(text: str) -> None:
    found, _size = lines(text or "x", width=60, height=60)
    assert "".join("".join(found).split()) == "".join((text or "x").split())
