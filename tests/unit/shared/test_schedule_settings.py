"""Other times than those of the schedule, as PIXMILL_SCHEDULE says them."""

from datetime import time, timedelta

import pytest
from pydantic import ValidationError

from pixmill_shared.schedule import SCHEDULE
from pixmill_shared.settings.schedule import ScheduleSettings


def settings(text: str) -> ScheduleSettings:
    return ScheduleSettings.model_validate({"PIXMILL_SCHEDULE": text})


def test_nothing_said_changes_nothing() -> None:
    assert settings("").applied_to(SCHEDULE) == SCHEDULE


def test_entries_get_intervals_and_times_of_day_and_expire_below_them() -> None:
    changed = {entry.name: entry for entry in settings(" heartbeat=0.5 , daily-report = 08:30 ").applied_to(SCHEDULE)}
    assert (changed["heartbeat"].every, changed["heartbeat"].expires) == (
        timedelta(seconds=0.5),
        timedelta(seconds=0.4),
    )
    assert changed["daily-report"].at == time(8, 30)
    assert {name for name, entry in changed.items() if entry not in SCHEDULE} == {"heartbeat", "daily-report"}
    daily = {entry.name: entry for entry in settings("cleanup-old-data=3600").applied_to(SCHEDULE)}["cleanup-old-data"]
    assert (daily.at, daily.every) == (None, timedelta(hours=1))
    assert daily.expires < daily.every


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("haertbeat=5", "is no entry of the schedule; there are backup-database"),
        ("heartbeat", "says no time; write heartbeat=60"),
        ("heartbeat=0", "says no time"),
        ("heartbeat=-1", "says no time"),
        ("heartbeat=1e9", "says no time"),
        ("daily-report=24:00", "says no time"),
        ("daily-report=8:30", "says no time"),
    ],
    ids=["unknown", "nothing", "zero", "negative", "float", "no such hour", "one digit"],
)
def test_what_says_no_time_is_refused_with_what_would(text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(text)
