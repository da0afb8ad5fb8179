"""Other intervals than those of the schedule."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta
from typing import Final

from pydantic import Field, field_validator

from pixmill_shared.schedule import SCHEDULE, Entry
from pixmill_shared.settings.base import Settings

_NAMES: Final = {entry.name for entry in SCHEDULE}
_SECONDS: Final = re.compile(r"\d{1,8}(\.\d{1,3})?", re.ASCII)
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class ScheduleSettings(Settings):
    """Read by beat."""

    changes: str = Field(
        default="",
        validation_alias="PIXMILL_SCHEDULE",
        description="other times than those of docs/operations.md: heartbeat=5,daily-report=08:30 (seconds, or a time)",
    )

    @field_validator("changes")
    @classmethod
    def _readable(cls, value: str) -> str:
        _parsed(value)
        return value

    def applied_to(self, schedule: Sequence[Entry]) -> tuple[Entry, ...]:
        """The entries with their times changed."""
        changes = _parsed(self.changes)
        return tuple(_changed(entry, changes[entry.name]) if entry.name in changes else entry for entry in schedule)


def _parsed(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, when = (word.strip() for word in part.partition("="))
        if name not in _NAMES:
            raise ValueError(f"{name!r} is no entry of the schedule; there are {', '.join(sorted(_NAMES))}")
        if not _CLOCK.fullmatch(when) and not (_SECONDS.fullmatch(when) and float(when) > 0):
            raise ValueError(f"{part!r} says no time; write {name}=60 (seconds) or {name}=08:30 (a time of day)")
        found[name] = when
    return found


def _changed(entry: Entry, when: str) -> Entry:
    clock = _CLOCK.fullmatch(when)
    if clock:
        day = timedelta(days=1)
        return replace(entry, at=time(int(clock[1]), int(clock[2])), every=day, expires=min(entry.expires, 0.25 * day))
    every = timedelta(seconds=float(when))
    return replace(entry, at=None, every=every, expires=min(entry.expires, 0.8 * every))
