"""What runs in this process, and whose row it is: its leases are kept, and given up when the work ends badly."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from pixmill_api.inline.lanes import End
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.inline import work_in
from pixmill_shared.plumbing.leases import HAND_BACK
from pixmill_shared.service.leases import LeaseKeeper, Loss, Work

log = get_logger(__name__)

_LOSSES: Final = {End.FAILED: Loss.UNRECORDED, End.DIED: Loss.DIED, End.TIME_LIMIT: Loss.TIME_LIMIT}


class Ledger:
    """Called by the threads of all lanes. ``tasks`` are Celery's, by name."""

    def __init__(self, keeper: LeaseKeeper, tasks: Mapping[str, Any]) -> None:
        self._keeper = keeper
        self._tasks = tasks
        self._running: dict[int, Work] = {}
        self._lock = threading.Lock()
        self._closed = False

    def began(self, message: Message) -> None:
        """A place has taken it, and is about to claim its row."""
        work = work_in(self._tasks[message.task.value], message.payload, message.task_id)
        if work is not None:
            with self._lock:
                self._running[id(message)] = work
            self._keeper.add(id(message), work)

    def ended(self, message: Message, end: End) -> None:
        with self._lock:
            work = self._running.pop(id(message), None)
            if self._closed:
                return
        if loss := _LOSSES.get(end):
            self._keeper.lose(id(message), loss)
        else:
            self._keeper.remove(id(message))
        if work is not None and end is End.NOT_BEGUN:
            self._keeper.unpublish([work])

    def hand_back(self) -> None:
        """Everything that runs, as if it had not been claimed. What it does from now on ends nothing any more."""
        with self._lock:
            self._closed = True
            left = list(self._running.values())
        if not left:
            return
        log.warning("ending with unfinished work, handing it back", tasks=len(left))
        if not self._keeper.hand_back(HAND_BACK):
            log.warning("claims could not be handed back, their leases run out")
        # What has not claimed its row yet.
        self._keeper.unpublish(left)
