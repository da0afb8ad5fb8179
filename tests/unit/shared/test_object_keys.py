"""A key is good for every store, or refused before any of them sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.errors import PixmillError
from pixmill_shared.storage import InvalidKey
from pixmill_shared.storage.keys import MAX_KEY, MAX_SEGMENT, check_key, check_prefix


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a", "a/.."),
        *("a\0b", "a\nb", "a\x7f", "a\\b", "..\\a", "\ud800"),
        *("a#1", "a#1/b", "#22"),
        *("x" * (MAX_SEGMENT + 1), "ü" * 101, "/".join(["x" * 100] * 9)),
    ],
)
def test_a_key_that_some_store_cannot_hold_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        check_key(key)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, PixmillError)
    assert len(str(caught.value)) < 100  # says what is wrong, and does not repeat it


@pytest.mark.parametrize("key", ["a", "a/b.webp", "...", ".hidden", "a#b", "a#1b", "ü/日本", "x" * MAX_SEGMENT])
def test_a_plain_key_is_accepted(key: str) -> None:
    assert check_key(key) == key


def test_the_longest_key_is_accepted_and_one_byte_more_is_not() -> None:
    longest = "/".join(["x" * 99] * 9)
    assert len(check_key(longest + "x")) == MAX_KEY
    with pytest.raises(InvalidKey):
        check_key(longest + "xx")


def test_a_prefix_may_be_empty_or_end_in_a_slash() -> None:
    for prefix in ("", "a", "a/", "a/b/"):
        check_prefix(prefix)
    for prefix in ("/", "//", "a//", "../", "a/../"):
        with pytest.raises(InvalidKey):
            check_prefix(prefix)


@given(st.text(st.characters(codec=None, exclude_categories=[])))
def test_any_text_is_accepted_or_refused_as_a_key(key: str) -> None:
    try:
        accepted = check_key(key)
    except InvalidKey:
        return
    assert not accepted.startswith("/")
    assert not {"", ".", ".."} & set(accepted.split("/"))
    assert accepted.encode().decode() == key
