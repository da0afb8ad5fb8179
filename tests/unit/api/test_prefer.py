"""``Prefer`` as RFC 7240 writes it, and as it does not."""

import pytest

from pixmill_api.domain.prefer import wait_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["wait=10"], 10),
        (["WAIT = 10"], 10),
        (['wait="10"'], 10),
        (["wait=60"], 60),
        (["wait=0"], 0),
        (["respond-async, wait=5"], 5),
        (["respond-async,wait=5;foo=bar"], 5),
        (["respond-async", "wait=5"], 5),
        (['x="a, wait=9, b", wait=5'], 5),
        (["wait=5, wait=9"], 5),
    ],
)
def test_seconds_are_read(headers: list[str], seconds: int) -> None:
    assert wait_of(headers) == seconds


@pytest.mark.parametrize(
    "header",
    [
        *("", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "wait=61", "wait=99999999", "waits=5", "a=wait=5"),
        *("wait=٥", 'x="a, wait=9', "wait=5x", ",,,", "wait==5", "handling=lenient"),
    ],
)
def test_what_is_odd_is_ignored(header: str) -> None:
    assert wait_of([header]) is None


def test_no_header_is_no_preference() -> None:
    assert wait_of([]) is None


def test_very_long_header_takes_no_time() -> None:
    for nasty in ('"' * 20_000, '"\\' * 20_000, "wait=" * 20_000, 'a"b' * 20_000):
        assert wait_of([nasty]) is None
