"""Local days: in a zone without summer time, and on the days when the clocks change."""

import datetime
import itertools
from zoneinfo import ZoneInfo

import pytest

from pixmill_notifier.domain.days import due_day, window_of

BERLIN, TOKYO, CAIRO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo"), ZoneInfo("Africa/Cairo")


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        (TOKYO, "2026-03-01", "2026-02-28T15:00", 24),
        (BERLIN, "2026-03-28", "2026-03-27T23:00", 24),
        (BERLIN, "2026-03-29", "2026-03-28T23:00", 23),
        (BERLIN, "2026-10-25", "2026-10-24T22:00", 25),
        # There is no midnight on this day: the clocks go from 24:00 to 1:00.
        (CAIRO, "2026-04-24", "2026-04-23T22:00", 23),
    ],
)
def test_window_is_the_local_day(zone: ZoneInfo, day: str, start: str, hours: int) -> None:
    begin, end = window_of(datetime.date.fromisoformat(day), zone)
    assert begin == utc(start)
    assert end - begin == datetime.timedelta(hours=hours)


def test_windows_of_a_year_leave_no_moment_out_and_count_none_twice() -> None:
    first = datetime.date(2026, 1, 1)
    windows = [window_of(first + datetime.timedelta(days=number), BERLIN) for number in range(366)]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(windows))


@pytest.mark.parametrize(
    ("zone", "now", "day"),
    [
        (TOKYO, "2026-03-01T14:59", "2026-02-28"),
        (TOKYO, "2026-03-01T15:00", "2026-03-01"),
        (BERLIN, "2026-03-29T21:59", "2026-03-28"),
        (BERLIN, "2026-03-29T22:00", "2026-03-29"),
        (BERLIN, "2026-10-25T22:59", "2026-10-24"),
        (BERLIN, "2026-10-25T23:00", "2026-10-25"),
    ],
)
def test_report_of_yesterday_is_due_from_midnight_local_time(zone: ZoneInfo, now: str, day: str) -> None:
    assert due_day(utc(now), zone) == datetime.date.fromisoformat(day)
