"""Which tick is due: the same one whoever asks, each once, at local times whatever the clocks do."""

import datetime
from datetime import UTC, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixmill_shared.domain.ticks import DAY, RETRY_AFTER, LastRun, Rhythm, due, expiry, latest_tick, next_tick

ZONES = ("UTC", "Asia/Tokyo", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Australia/Lord_Howe")
rhythms = st.one_of(
    st.builds(Rhythm, st.integers(1, 3 * 86_400).map(lambda seconds: timedelta(seconds=seconds))),
    st.builds(
        lambda minute, zone: Rhythm(DAY, time(minute // 60, minute % 60), ZoneInfo(zone)),
        st.integers(0, 24 * 60 - 1),
        st.sampled_from(ZONES),
    ),
)
moments = st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2030, 1, 1), timezones=st.just(UTC))


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(rhythms, moments)
def test_now_lies_between_the_latest_tick_and_the_next(rhythm: Rhythm, now: datetime.datetime) -> None:
    latest, following = latest_tick(rhythm, now), next_tick(rhythm, now)
    assert latest <= now < following
    assert latest_tick(rhythm, following) == following
    assert latest_tick(rhythm, following - timedelta(microseconds=1)) == latest


@given(rhythms, moments, st.lists(st.integers(1, 7_200), max_size=60))
def test_each_tick_is_due_once_and_of_those_that_were_missed_only_the_latest(
    rhythm: Rhythm, now: datetime.datetime, steps: list[int]
) -> None:
    last: LastRun | None = None
    sent: list[datetime.datetime] = []
    for step in steps:
        now += timedelta(seconds=step)
        tick = due(rhythm, last, now)
        if tick is not None:
            assert tick == latest_tick(rhythm, now)
            sent.append(tick)
            last = LastRun(tick, now, done=tick)
    assert sent == sorted(set(sent))
    assert not steps or sent[-1] == latest_tick(rhythm, now)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Asia/Tokyo", "2026-07-01", "2026-06-30T18:00"),
        ("Europe/Berlin", "2026-01-15", "2026-01-15T02:00"),
        ("Europe/Berlin", "2026-07-15", "2026-07-15T01:00"),
    ],
    ids=["tokyo", "berlin in winter", "berlin in summer"],
)
def test_time_of_day_is_local(zone: str, day: str, expected: str) -> None:
    rhythm = Rhythm(DAY, time(3), ZoneInfo(zone))
    assert latest_tick(rhythm, utc(f"{day}T12:00")) == utc(expected)


@pytest.mark.parametrize(
    ("day", "expected"),
    # On 29 March 2026 there is no 02:30 in Berlin; on 25 October there are two.
    [("2026-03-29", ["2026-03-29T01:30"]), ("2026-10-25", ["2026-10-25T00:30"])],
    ids=["skipped", "repeated"],
)
def test_time_that_the_clocks_skip_or_repeat_is_one_tick(day: str, expected: list[str]) -> None:
    rhythm = Rhythm(DAY, time(2, 30), ZoneInfo("Europe/Berlin"))
    start = utc(f"{day}T00:00") - timedelta(hours=2)
    ticks = {latest_tick(rhythm, start + timedelta(minutes=5 * step)) for step in range(24 * 12)}
    assert sorted(tick for tick in ticks if tick >= start) == [utc(each) for each in expected]


def test_daily_entry_that_did_not_get_done_is_sent_again_each_hour_until_it_is() -> None:
    rhythm = Rhythm(DAY, time(3))
    failed = LastRun(utc("2026-05-01T03:00"), utc("2026-05-01T03:00:01"), done=None)
    assert due(rhythm, failed, utc("2026-05-01T04:00")) is None
    again = due(rhythm, failed, utc("2026-05-01T04:00:01"))
    assert again == utc("2026-05-01T04:00")
    failed = LastRun(again, utc("2026-05-01T04:00:01"), done=utc("2026-04-30T03:00"))
    assert due(rhythm, failed, utc("2026-05-01T05:00:00")) is None
    assert due(rhythm, failed, utc("2026-05-01T05:00:01")) == utc("2026-05-01T05:00")
    done = LastRun(utc("2026-05-01T05:00"), utc("2026-05-01T05:00:01"), done=utc("2026-05-01T05:00"))
    assert due(rhythm, done, utc("2026-05-02T02:59:59")) is None
    assert due(rhythm, done, utc("2026-05-02T03:00")) == utc("2026-05-02T03:00")


def test_daily_entry_that_got_done_late_is_not_sent_again() -> None:
    rhythm = Rhythm(DAY, time(3))
    # The tick of 03:00 took 65 minutes; the one of 04:00 found it under way, and so was not done.
    overtaken = LastRun(utc("2026-05-01T04:00"), utc("2026-05-01T04:00:01"), done=utc("2026-05-01T03:00"))
    assert due(rhythm, overtaken, utc("2026-05-01T09:00")) is None
    assert due(rhythm, overtaken, utc("2026-05-02T03:00")) == utc("2026-05-02T03:00")


def test_entry_that_is_rarer_than_daily_is_sent_again_each_hour_too() -> None:
    weekly = Rhythm(timedelta(weeks=1))
    tick = latest_tick(weekly, utc("2026-05-01T00:00"))
    assert due(weekly, LastRun(tick, tick, done=tick - timedelta(weeks=1)), tick + RETRY_AFTER) == tick + RETRY_AFTER
    assert due(weekly, LastRun(tick, tick, done=tick), tick + RETRY_AFTER) is None


def test_tick_that_is_sent_again_expires_before() -> None:
    assert expiry(Rhythm(DAY, time(3)), timedelta(hours=6)) < RETRY_AFTER
    assert expiry(Rhythm(timedelta(hours=2)), timedelta(minutes=100)) == timedelta(minutes=100)


@settings(deadline=None, max_examples=50)
@given(
    st.builds(
        lambda minute, zone: Rhythm(DAY, time(minute // 60, minute % 60), ZoneInfo(zone)),
        st.integers(0, 24 * 60 - 1),
        st.sampled_from(ZONES),
    ),
    moments,
    st.lists(st.sampled_from(["fails", "works", "no beat", "no worker"]), min_size=48, max_size=48),
)
def test_three_days_of_a_daily_entry_hour_by_hour(rhythm: Rhythm, now: datetime.datetime, hours: list[str]) -> None:
    """Beat looks every ten minutes of its hours. What is sent fails, gets done, or is taken by no worker."""
    last: LastRun | None = LastRun(latest_tick(rhythm, now), now - timedelta(hours=2), latest_tick(rhythm, now))
    done = {last.done} if last else set()
    sent: list[datetime.datetime] = []
    for hour in [*hours, *["works"] * 24]:
        for _ in range(6):
            now += timedelta(minutes=10)
            wanted = latest_tick(rhythm, now)
            tick = None if hour == "no beat" else due(rhythm, last, now)
            if tick is None:
                # Nobody who could send it, done already, or tried less than an hour ago.
                assert hour == "no beat" or max(filter(None, done)) >= wanted or now - sent[-1] < RETRY_AFTER
                continue
            assert max(filter(None, done)) < wanted <= tick
            assert wanted == tick or now - sent[-1] >= RETRY_AFTER
            sent.append(now)
            done |= {tick} if hour == "works" else set()
            last = LastRun(tick, now, max(filter(None, done)))
    assert max(filter(None, done)) >= latest_tick(rhythm, now - RETRY_AFTER)
    assert len(sent) <= 72 + 3


def test_entry_with_an_interval_that_failed_waits_for_its_next_tick() -> None:
    rhythm = Rhythm(timedelta(hours=3))
    failed = LastRun(utc("2026-05-01T03:00"), utc("2026-05-01T03:00"), done=None)
    assert due(rhythm, failed, utc("2026-05-01T05:59:59")) is None
    assert due(rhythm, failed, utc("2026-05-01T06:00")) == utc("2026-05-01T06:00")
