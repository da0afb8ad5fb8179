"""A worker's claims, kept while it works on them and given up when it cannot go on. Knows nothing of Celery."""

import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories.leases import JOBS, Leases
from pixmill_shared.service.failures import record_time_limit
from pixmill_shared.settings.work import WorkSettings

log = get_logger(__name__)

RETRY: Final = 1.0
"""Seconds between tries while the database is away."""

_RNG: Final = random.SystemRandom()


class Loss(StrEnum):
    """Why work ended without its claim having been ended by whoever did it."""

    DIED = "died"
    TIME_LIMIT = "time_limit"
    UNRECORDED = "unrecorded"
    SHUT_DOWN = "shut_down"


@dataclass(frozen=True)
class Work:
    """A row of a table of work. ``longest``: seconds that its task may take, if that is more than most may."""

    leases: Leases
    id: uuid.UUID
    longest: float = field(default=0.0, compare=False)


class LeaseKeeper:
    """Renews the leases of what is added, every third of a lease, in a thread of its own.

    ``holder`` is the name that the claims were made in. ``longest``: seconds after which a claim is renewed no more,
    because its work must be stuck. All methods may be called from any thread; none but ``hand_back`` waits for the
    database, and while that is away everything is tried again.
    """

    def __init__(self, database: Database, holder: str, settings: WorkSettings, longest: float) -> None:
        self._database = database
        self._holder = holder
        self._settings = settings
        self._longest = longest
        self._active: dict[Hashable, tuple[Work, float]] = {}
        self._lost: deque[tuple[Work, Loss]] = deque()
        self._changed = threading.Condition()
        self._renew_at = 0.0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Renew nothing any more; what is lost but not recorded yet is left to its lease."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(RETRY * 2)
        self._database.dispose()

    def add(self, token: Hashable, work: Work) -> None:
        """``token`` began to work; it has claimed the row already, or is about to."""
        with self._changed:
            self._active[token] = (work, time.monotonic())

    def remove(self, token: Hashable) -> None:
        """``token`` has ended, and its claim with it."""
        with self._changed:
            self._active.pop(token, None)

    def lose(self, token: Hashable, loss: Loss) -> None:
        """``token`` has ended, and its claim may be there still."""
        with self._changed:
            known = self._active.pop(token, None)
            if known is not None:
                self._lost.append((known[0], loss))
                self._changed.notify_all()

    def active(self) -> int:
        """How many work."""
        with self._changed:
            return len(self._active)

    def hand_back(self, timeout: float) -> bool:
        """Give up all claims as if they had not been made, within ``timeout`` seconds. Whether it was in time."""
        until = time.monotonic() + timeout
        with self._changed:
            self._lost.extend((work, Loss.SHUT_DOWN) for work, _ in self._active.values())
            self._active.clear()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._lost, max(until - time.monotonic(), 0))

    def unpublish(self, work: Collection[Work]) -> None:
        """The messages of these rows will not be worked on here. Left to the dispatcher if the database is away."""
        try:
            for each in work:
                with self._database.session_scope() as session:
                    each.leases.unpublish(session, each.id)
        except DatabaseUnavailable as error:
            log.warning("cannot return messages", error=type(error).__name__)

    def _run(self) -> None:
        while not self._stopped:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._lost, self._until_renewal())
            try:
                self._settle()
                if not self._until_renewal():
                    self._renew()
            except DatabaseUnavailable as error:
                log.warning("cannot keep leases, trying again", error=type(error).__name__)
                time.sleep(RETRY)
            except Exception:
                # The thread's boundary: without it every claim of this worker would run out.
                log.exception("unexpected error while keeping leases")
                self._forget_first_lost()
                time.sleep(RETRY)

    def _until_renewal(self) -> float:
        return max(self._renew_at - time.monotonic(), 0.0)

    def _renew(self) -> None:
        now = time.monotonic()
        with self._changed:
            active = list(self._active.values())
        working = {
            work for work, since in active if now - since < max(self._longest, work.longest + self._settings.lease)
        }
        for leases in {work.leases for work in working}:
            ids = [work.id for work in working if work.leases is leases]
            with self._database.session_scope() as session:
                leases.renew(session, ids, self._holder, self._settings.lease)
        self._renew_at = now + self._settings.lease / 3

    def _settle(self) -> None:
        while self._lost:
            work, loss = self._lost[0]
            with self._changed:
                again = any(work == other for other, _ in self._active.values())
            # Of two messages for one row the other may have the claim: it is not ours to end.
            if not again:
                self._give_up(work, loss)
            self._forget_first_lost()

    def _forget_first_lost(self) -> None:
        with self._changed:
            if self._lost:
                self._lost.popleft()
            self._changed.notify_all()

    def _give_up(self, work: Work, loss: Loss) -> None:
        with self._database.session_scope() as session:
            match loss:
                case Loss.TIME_LIMIT if work.leases is JOBS:
                    ended = record_time_limit(session, work.id, self._holder, settings=self._settings) != "lost"
                case Loss.UNRECORDED:
                    # A moment, so that a database that refuses is not asked by everyone at once.
                    delay, patience = _RNG.uniform(RETRY, 5 * RETRY), self._settings.outage_patience
                    ended = (
                        work.leases.hand_back(session, work.id, self._holder, delay=delay, younger=patience)
                        # Or it was away at the claim itself.
                        or work.leases.unpublish(session, work.id)
                        # What the database refuses for so long is no outage: it is this row, and its attempts count.
                        or work.leases.run_out(session, work.id, self._holder)
                    )
                case Loss.SHUT_DOWN:
                    ended = work.leases.hand_back(session, work.id, self._holder)
                case _:
                    ended = work.leases.run_out(session, work.id, self._holder)
        if ended:
            log.warning("claim given up", table=work.leases.table, id=str(work.id), reason=loss)
