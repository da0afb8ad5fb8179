"""How long rows are kept that nobody works on any more."""

from datetime import timedelta
from typing import Any

from pydantic import Field

from pixmill_shared.settings.base import Settings


def _days(default: float, name: str, what: str, least: float = 0) -> Any:
    lasting = "" if least else "; 0: for ever"
    return Field(
        default=default,
        ge=least,
        le=36_500,
        validation_alias=f"PIXMILL_KEEP_{name}",
        description=f"days {what}{lasting}",
    )


class RetentionSettings(Settings):
    """Read by the process that cleans up. All in days."""

    jobs: float = _days(90, "JOBS", "that a job is kept after its end, with its outputs; a batch too")
    unfinished: float = _days(90, "UNFINISHED_JOBS", "that a job may be under way before it is given up and deleted", 1)
    events: float = _days(0, "EVENTS", "that events of ended jobs are kept; they go with their jobs at the latest")
    deliveries: float = _days(30, "DELIVERIES", "that a webhook is kept after its end, with its tries")
    dead_letters: float = _days(90, "DEAD_LETTERS", "that a dead letter is kept")
    alerts: float = _days(90, "ALERTS", "that an alert is kept after its end, and a message about alerts")
    reports: float = _days(365, "REPORTS", "that the figures of a daily report are kept")
    samples: float = _days(14, "SAMPLES", "that measurements of queues are kept")
    ticks: float = _days(7, "TICKS", "that runs of the schedule are kept; the last of each entry always is", 1)
    tasks: float = _days(30, "TASKS", "that a task which somebody asked for is kept after its end")
    audit: float = _days(730, "AUDIT", "that a record of what administrators did is kept")

    def of(self, name: str) -> timedelta | None:
        """The age from which what the field ``name`` is about goes; None: it stays."""
        days = float(getattr(self, name))
        return timedelta(days=days) if days else None
