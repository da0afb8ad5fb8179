"""The Retry-After header: whatever a server puts there, it is a number of seconds or nothing, and no error."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.egress.retry_after import LONGEST_SECONDS, parse_retry_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 500, LONGEST_SECONDS),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 14:01:00 +0200", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:01:00 -0000", 60.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", LONGEST_SECONDS),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("1 jan 2026 0.0.99999999999999999 GMT", None),
    ],
)
def test_header_is_read_as_seconds_from_now_or_not_at_all(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


ODD = ("Mon, ", "1 ", "Jan ", "2026 ", "99999999999 ", "00:00:00 ", "-", "+9999 ", "GMT", "\u0661", "9", ":", ".")


@given(st.one_of(st.text(), st.lists(st.sampled_from(ODD)).map("".join)))
def test_no_header_however_odd_is_an_error(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_SECONDS
