"""Cron expressions in time zones: when clocks change, each time of day comes once."""

import datetime
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.service.cron import InvalidCron, InvalidZone, check_cron, check_zone, next_time


def times(cron: str, zone: str, after: str, count: int) -> list[str]:
    moment, found = datetime.datetime.fromisoformat(after), []
    for _ in range(count):
        moment = next_time(cron, zone, moment)
        found.append(moment.strftime("%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # In Berlin 02:00 to 03:00 does not come on the 29th of March 2026, and comes twice on the 25th of October.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["29 01:00", "30 00:30"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["29 01:00", "30 01:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["25 00:30", "26 01:30"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:10Z", ["25 00:30", "25 01:00", "25 01:30", "25 02:00"]),
        ("0 7 * * *", "Asia/Tokyo", "2026-11-22T00:00Z", ["22 22:00", "23 22:00"]),
        ("*/30 * * * *", "UTC", "2026-11-22T08:59:06Z", ["22 09:00", "22 09:30"]),
        ("0 6 * * MON-FRI", "UTC", "2026-11-20T08:00Z", ["23 06:00", "24 06:00"]),
    ],
    ids=["left out", "after the gap", "twice", "each half hour", "tokyo", "default", "weekdays"],
)
def test_next_time_is_that_of_the_zone(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(cron, zone, after, len(expected)) == expected


@given(st.text(alphabet="0123456789*/-,L#W SUNJA", max_size=30))
def test_whatever_is_written_is_kept_or_refused(text: str) -> None:
    try:
        kept = check_cron(text)
    except InvalidCron:
        return
    after = datetime.datetime(2026, 11, 22, tzinfo=UTC)
    assert next_time(kept, "Europe/Berlin", after) > after


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "0 0 30 2 *", "@daily", "60 * * * *", "* * * * MON#6", "1-0 * * * *", "*/0 * * * *"],
)
def test_what_is_no_expression_or_never_comes_is_refused(text: str) -> None:
    with pytest.raises(InvalidCron):
        check_cron(text)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "a\0b", "Europe"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidZone):
        check_zone(name)
