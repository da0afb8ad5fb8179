"""Backpressure: while too many jobs wait, none is taken.

Nobody counts a million rows for a request. Each process remembers the last count, adds what it took since, and counts
again so seldom that counting costs less than a hundredth of a core, however long it takes. So the limit may be passed
by what the other processes take between two counts.
"""

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from pixmill_api import metrics
from pixmill_api.errors import QueueFull
from pixmill_shared.database.engine import at_end
from pixmill_shared.repositories import backlog

LEAST_AGE: Final = 1.0
MOST_AGE: Final = 60.0
"""Seconds that a count is good for at least, and at most."""
RATIO: Final = 100
"""A count is good for this many times the seconds that it took."""

Count = Callable[[Session, int], int]


class Backlog:
    """``limit``: jobs that may wait. Used by many threads."""

    def __init__(self, limit: int, count: Count = backlog.count, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._counted = count
        self._clock = clock
        self._counting = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: int | None = None
        #: Of those, jobs whose transactions may not have committed yet: a count does not see them.
        self._unsettled = 0
        self._stale_at = 0.0

    def admit(self, session: Session, jobs: int = 1) -> None:
        """``jobs`` more are about to be made in this transaction. Raises QueueFull if no more may wait."""
        self.look(session)
        with self._lock:
            self._refuse_if_full()
            self._waiting = (self._waiting or 0) + jobs
            self._unsettled += jobs
            metrics.BACKLOG.set(self._waiting)
        at_end(session, partial(self._settle, jobs))

    def _settle(self, jobs: int) -> None:
        with self._lock:
            self._unsettled -= jobs

    def refuse_early(self) -> None:
        """Before bytes are taken for a job that would be refused: raises QueueFull if the last count says so."""
        if self._clock() < self._stale_at:
            self._refuse_if_full()

    def look(self, session: Session) -> None:
        """Count again if the last count is too old. Only the first count is waited for."""
        if self._clock() < self._stale_at or not self._counting.acquire(blocking=self._waiting is None):
            return
        try:
            if self._clock() >= self._stale_at:
                self._count(session)
        finally:
            self._counting.release()

    def _count(self, session: Session) -> None:
        with self._lock:
            before, taken = self._clock(), (self._waiting or 0) - self._unsettled
        try:
            found = self._counted(session, self._limit)
        finally:
            # Also a count that was given up is not tried by the next request at once.
            now = self._clock()
            self._stale_at = now + min(max(LEAST_AGE, RATIO * (now - before)), MOST_AGE)
        with self._lock:
            # What was taken while the count ran is not in it, nor what was taken and had not been committed.
            self._waiting = found + max((self._waiting or 0) - taken, 0)
            metrics.BACKLOG.set(self._waiting)

    def _refuse_if_full(self) -> None:
        if self._waiting is not None and self._waiting >= self._limit:
            raise QueueFull(retry_after=max(1, math.ceil(self._stale_at - self._clock())))
