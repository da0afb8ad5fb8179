"""When an entry of the schedule is due. Ticks have fixed times, whoever asks: so two beats agree on what a tick is.

An interval is counted from the epoch. A time of day is that of a zone: where the clocks skip it, the tick is as much
later; where they repeat it, it is the first.
"""

import datetime
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

UTC: Final = ZoneInfo("UTC")
DAY: Final = timedelta(days=1)
RETRY_AFTER: Final = timedelta(hours=1)
"""After which a daily entry that did not get done is sent again; so is a rarer one."""


@dataclass(frozen=True)
class Rhythm:
    """``at``: once a day, at that time of ``zone``; ``every`` is a day then."""

    every: timedelta
    at: datetime.time | None = None
    zone: ZoneInfo = UTC


@dataclass(frozen=True)
class LastRun:
    """The last tick that was sent, and ``done``: the last one that has ended without an error; None: none lately."""

    scheduled_at: datetime.datetime
    sent_at: datetime.datetime
    done: datetime.datetime | None


def latest_tick(rhythm: Rhythm, now: datetime.datetime) -> datetime.datetime:
    """The last one up to ``now``, in UTC."""
    if rhythm.at is None:
        return _floor(now, rhythm.every)
    today = now.astimezone(rhythm.zone).date()
    # The day after can have begun there already, by the offset of the tick itself.
    days = (today + DAY, today, today - DAY)
    return next(tick for tick in (_of_day(rhythm.at, day, rhythm.zone) for day in days) if tick <= now)


def next_tick(rhythm: Rhythm, now: datetime.datetime) -> datetime.datetime:
    """The first one after ``now``, in UTC."""
    if rhythm.at is None:
        return _floor(now, rhythm.every) + rhythm.every
    today = now.astimezone(rhythm.zone).date()
    days = (today + ahead * DAY for ahead in range(-1, 3))
    return next(tick for tick in (_of_day(rhythm.at, day, rhythm.zone) for day in days) if tick > now)


def due(rhythm: Rhythm, last: LastRun | None, now: datetime.datetime) -> datetime.datetime | None:
    """The tick that is to be sent now; None: none is.

    Of ticks that were missed only the latest is sent: an entry does all that is due. A daily one that was not done is
    sent again each hour until it is, or the next day's is due. Done is done: by whichever of its messages, and when
    ever that one ended.
    """
    tick = latest_tick(rhythm, now)
    if last is None or last.scheduled_at < tick:
        return tick
    if not retried(rhythm) or (last.done and last.done >= tick) or now - last.sent_at < RETRY_AFTER:
        return None
    again = _floor(now, RETRY_AFTER)
    return again if again > last.scheduled_at else None


def retried(rhythm: Rhythm) -> bool:
    """Whether it is too rare to leave what was not done to the next tick."""
    return rhythm.every >= DAY


def expiry(rhythm: Rhythm, wanted: timedelta) -> timedelta:
    """How long a tick may wait for a worker: below the time until it is sent again, so that a worker which was away
    for long does not find one for each hour.
    """
    return min(wanted, 0.8 * RETRY_AFTER) if retried(rhythm) else wanted


def _of_day(at: datetime.time, day: datetime.date, zone: ZoneInfo) -> datetime.datetime:
    return datetime.datetime.combine(day, at, zone).astimezone(datetime.UTC)


def _floor(moment: datetime.datetime, step: timedelta) -> datetime.datetime:
    seconds = step.total_seconds()
    return datetime.datetime.fromtimestamp(math.floor(moment.timestamp() / seconds) * seconds, datetime.UTC)
