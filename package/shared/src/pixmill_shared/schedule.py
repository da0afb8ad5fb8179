"""The one schedule. Every entry is "process all that is due", safe to run twice, and expires below its interval."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName


@dataclass(frozen=True)
class Entry:
    """``every`` is the interval; a tick that waited longer than ``expires`` is dropped: the next one does its work."""

    name: str
    task: TaskName
    every: timedelta
    expires: timedelta
    queue: QueueName = QueueName.DEFAULT


SCHEDULE: Final = (
    Entry("heartbeat", TaskName.RECORD_HEARTBEAT, every=timedelta(seconds=10), expires=timedelta(seconds=8)),
)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """As Celery wants it."""
    return {
        entry.name: {
            "task": entry.task.value,
            "schedule": entry.every,
            "options": {"expires": entry.expires.total_seconds(), "queue": entry.queue.value, "ignore_result": True},
        }
        for entry in SCHEDULE
    }
