"""Range requests, after RFC 9110."""

import pytest

from pixmill_api.domain.ranges import Range, Unsatisfiable, matches_etag, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", Range(0, 1)),
        ("bytes=0-99", Range(0, 100)),
        ("bytes=0-100000", Range(0, 100)),
        ("bytes=99-", Range(99, 100)),
        ("bytes=-1", Range(99, 100)),
        ("bytes=-1000", Range(0, 100)),
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=a-b", None),
        ("bytes=1-2,4-5", None),
        ("bytes=" + "9" * 30 + "-", None),
        ("bytes=\u0663-\u0664", None),
        ("items=0-1", None),
    ],
)
def test_one_range_is_read_and_what_is_none_is_ignored(header: str | None, expected: Range | None) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_range_after_the_end_is_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)


def test_etags_match_weakly_and_by_star() -> None:
    assert matches_etag('"a", W/"b"', '"b"')
    assert matches_etag("*", '"b"')
    assert not matches_etag('"a"', '"b"')
    assert not matches_etag(None, '"b"')
