"""Cron expressions in a time zone. The one home of cronsim; see docs/decisions/pipelines.md."""

import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

LONGEST: Final = 100
"""Characters."""
_FIELDS: Final = 5


class InvalidCron(ValueError):
    """The message says what is wrong, as the end of a sentence."""


class InvalidZone(ValueError):
    """The message says what is wrong, as the end of a sentence."""


def check_cron(text: str) -> str:
    """The expression as it is kept. Raises InvalidCron, also for one that never comes (``0 0 30 2 *``)."""
    if len(text) > LONGEST:
        raise InvalidCron(f"has more than {LONGEST} characters")
    fields = text.split()
    if len(fields) != _FIELDS:
        raise InvalidCron("must have five fields: minute, hour, day of month, month, day of week")
    kept = " ".join(fields)
    try:
        next(CronSim(kept, datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)))
    except CronSimError as error:
        raise InvalidCron(f"cannot be read: {str(error).lower()}") from None
    except StopIteration:
        raise InvalidCron("never comes") from None
    except AssertionError:
        # Where it takes "LW/2" apart and finds no number.
        raise InvalidCron("cannot be read") from None
    return kept


def check_zone(name: str) -> ZoneInfo:
    """Raises InvalidZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidZone("is no IANA time zone, like Europe/Berlin") from None


def next_time(cron: str, zone: str, after: datetime.datetime) -> datetime.datetime:
    """The first time after ``after``, in UTC. As Debian's cron does, what stands at an hour that a change of clocks
    leaves out comes right after it, and what stands at one that comes twice, once. Raises InvalidCron, InvalidZone.
    """
    local = after.astimezone(check_zone(zone))
    found: datetime.datetime = next(CronSim(check_cron(cron), local))
    return found.astimezone(datetime.UTC)
