"""What beat would ask for, where there is no beat: what has expired is deleted, hourly."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.plumbing.inline import run_task
from pixmill_shared.schedule import SCHEDULE

FIRST: Final = 300.0
"""Seconds after the start: what crashes and starts again does not begin with it each time."""
EVERY: Final = 3_600.0

#: Sweeps, cheap and safe to run beside themselves. Alerts, reports and backups need beat and workers.
_QUEUES: Final = (QueueName.API, QueueName.MAINTENANCE)
_LARGE: Final = (TaskName.BACK_UP, TaskName.VERIFY_STORAGE)
CHORES: Final = tuple(entry.task for entry in SCHEDULE if entry.queue in _QUEUES and entry.task not in _LARGE)


class Chores:
    """``tasks`` are Celery's, by name."""

    def __init__(self, tasks: Mapping[str, Any], first: float = FIRST, every: float = EVERY) -> None:
        self._tasks = tasks
        self._first = first
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No other one begins; each may end at any point."""
        self._stopped.set()

    def _run(self) -> None:
        pause = self._first
        while not self._stopped.wait(pause):
            pause = self._every
            for name in CHORES:
                if not self._stopped.is_set():
                    run_task(self._tasks[name.value], {}, None)
