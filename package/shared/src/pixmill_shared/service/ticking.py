"""What beat does at each look: send the ticks that are due, each in the transaction that notes it.

Several may do so side by side: a tick has one row, and who inserts it sends it. So there is no active one that has to
be found dead before another takes over.
"""

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DBAPIError

from pixmill_shared.database.engine import Database, is_locked
from pixmill_shared.domain.ticks import LastRun, Rhythm, due, expiry, latest_tick, next_tick, retried
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import beat_runs
from pixmill_shared.repositories.beat_runs import Wish
from pixmill_shared.schedule import Entry

log = get_logger(__name__)

LONGEST_PAUSE: Final = 2.0
"""Seconds between two looks: what an operator changes is live after them."""


@dataclass(frozen=True)
class Tick:
    """A run of ``entry`` that is due; ``expires``: seconds after which nobody needs to run it any more."""

    entry: Entry
    scheduled_at: datetime.datetime
    task_id: uuid.UUID
    expires: float


Send = Callable[[Tick], None]
"""Publishes a tick. What it raises undoes the tick's row, so the tick is due again."""


def wanted(entry: Entry, wish: Wish) -> Entry:
    """The entry as an operator wants it. A daily one that is given an interval keeps no time of day."""
    if wish.every_seconds is None:
        return entry
    every = timedelta(seconds=wish.every_seconds)
    return replace(entry, every=every, at=None, expires=min(entry.expires, 0.8 * every))


class Ticker:
    """``zone`` is that of times of day."""

    def __init__(self, database: Database, schedule: Sequence[Entry], zone: ZoneInfo, send: Send) -> None:
        self._database = database
        self._schedule = {entry.name: entry for entry in schedule}
        self._zone = zone
        self._send = send

    def look(self) -> float:
        """Send all that is due. The seconds until the next look."""
        with self._database.session_scope() as session:
            seen = beat_runs.look(session, list(self._schedule))
        pause = LONGEST_PAUSE
        for entry in self._entries(seen.wishes):
            rhythm = Rhythm(entry.every, entry.at, self._zone)
            try:
                self._send_if_due(entry, rhythm, seen.last.get(entry.name), seen.now)
            except DBAPIError as error:
                if not is_locked(error):
                    raise
                log.info("another beat has the tick", entry=entry.name)
            pause = min(pause, (next_tick(rhythm, seen.now) - seen.now).total_seconds())
        return pause

    def _entries(self, wishes: Mapping[str, Wish]) -> list[Entry]:
        found = ((entry, wishes.get(name, Wish())) for name, entry in self._schedule.items())
        return [wanted(entry, wish) for entry, wish in found if wish.enabled]

    def _send_if_due(self, entry: Entry, rhythm: Rhythm, last: LastRun | None, now: datetime.datetime) -> None:
        if last is None and retried(rhythm):
            # pixmill has never run before: what is done once a day, or a week, need not be done at its first start.
            with self._database.session_scope() as session:
                beat_runs.pass_by(session, entry.name, latest_tick(rhythm, now), "before the first start")
            return
        scheduled_at = due(rhythm, last, now)
        if scheduled_at is None:
            return
        tick = Tick(entry, scheduled_at, uuid.uuid4(), expiry(rhythm, entry.expires).total_seconds())
        with self._database.session_scope() as session:
            if not beat_runs.begin(session, entry.name, scheduled_at, tick.task_id):
                return
            self._send(tick)
            failpoint("beat.sent", entry.name)
        log.debug("tick sent", entry=entry.name, scheduled_at=scheduled_at.isoformat())
