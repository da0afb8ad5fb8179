"""Local days, which are 23 to 25 hours long."""

import datetime
from zoneinfo import ZoneInfo


def window_of(day: datetime.date, zone: ZoneInfo) -> tuple[datetime.datetime, datetime.datetime]:
    """The first moment of the local day and that of the next, in UTC."""
    start, end = _midnight(day, zone), _midnight(day + datetime.timedelta(days=1), zone)
    return start, end


def due_day(now: datetime.datetime, zone: ZoneInfo) -> datetime.date:
    """The day whose report is the last that is due at ``now``: the local day before, at whatever time."""
    return now.astimezone(zone).date() - datetime.timedelta(days=1)


def _midnight(day: datetime.date, zone: ZoneInfo) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), zone).astimezone(datetime.UTC)
