"""Ticks of the schedule: each is sent once and run once, whoever sends it and however often. Prepared SQL.

Beat inserts a tick in the transaction that publishes it; a worker claims it before it runs. Should the message be there
without the row, because beat was killed in between, the claim makes it.
"""

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ticks import LastRun

LOCK_TIMEOUT: Final = 0.2
"""Seconds that a beat waits for another's tick: who sends it needs it no longer than that."""

LONGEST_SILENCE: Final = 10.0
"""Seconds after which the server ends the transaction of a beat that stands still in it: publishing takes less."""

_HURRY: Final = Prepared(
    """
    SELECT set_config('lock_timeout', ($1 * 1000)::int::text, true),
           set_config('idle_in_transaction_session_timeout', ($2 * 1000)::int::text, true)
    """,
    *("double precision", "double precision"),
)

# A day's tries of an entry that is tried hourly, and the tick before.
_LOOK: Final = Prepared(
    """
    SELECT statement_timestamp() AS now, e.entry, w.enabled, w.every_seconds, r.scheduled_at, r.sent_at, r.done
    FROM unnest($1) AS e(entry) LEFT JOIN schedule_entries w ON w.entry = e.entry
    LEFT JOIN LATERAL (
      SELECT max(scheduled_at) AS scheduled_at, max(sent_at) AS sent_at,
             max(scheduled_at) FILTER (WHERE finished_at IS NOT NULL AND error IS NULL) AS done
      FROM (
        SELECT scheduled_at, sent_at, finished_at, error FROM beat_runs
        WHERE entry = e.entry ORDER BY scheduled_at DESC LIMIT 26
      ) AS lately
    ) AS r ON true
    """,
    "text[]",
)

_BEGIN: Final = Prepared(
    """
    INSERT INTO beat_runs (entry, scheduled_at, task_id) VALUES ($1, $2, $3)
    ON CONFLICT (entry, scheduled_at) DO NOTHING RETURNING entry
    """,
    *("text", "timestamptz", "uuid"),
)

_PASS_BY: Final = Prepared(
    """
    INSERT INTO beat_runs (entry, scheduled_at, finished_at, result) VALUES ($1, $2, clock_timestamp(), $3)
    ON CONFLICT (entry, scheduled_at) DO NOTHING
    """,
    *("text", "timestamptz", "jsonb"),
)

_CLAIM: Final = Prepared(
    """
    INSERT INTO beat_runs (entry, scheduled_at, task_id, started_at) VALUES ($1, $2, $3, clock_timestamp())
    ON CONFLICT (entry, scheduled_at) DO UPDATE SET started_at = excluded.started_at, task_id = excluded.task_id
    WHERE beat_runs.started_at IS NULL AND beat_runs.finished_at IS NULL
    RETURNING entry
    """,
    *("text", "timestamptz", "uuid"),
)

_FINISH: Final = Prepared(
    """
    UPDATE beat_runs SET finished_at = clock_timestamp(), result = $3, error = $4
    WHERE entry = $1 AND scheduled_at = $2 AND finished_at IS NULL RETURNING entry
    """,
    *("text", "timestamptz", "jsonb", "text"),
)


@dataclass(frozen=True)
class Wish:
    """What an operator wants of an entry; ``every_seconds`` None: its own interval."""

    enabled: bool = True
    every_seconds: float | None = None


@dataclass(frozen=True)
class Look:
    """The database's time, and by entry: its last run, and what is wished of it."""

    now: datetime.datetime
    last: Mapping[str, LastRun]
    wishes: Mapping[str, Wish]


def look(session: Session, entries: list[str]) -> Look:
    """All that decides which of ``entries`` are due."""
    rows = _LOOK.run(session, entries)
    return Look(
        now=rows[0]["now"],
        last={
            row["entry"]: LastRun(row["scheduled_at"], row["sent_at"], row["done"])
            for row in rows
            if row["scheduled_at"] is not None
        },
        wishes={
            row["entry"]: Wish(bool(row["enabled"]), row["every_seconds"]) for row in rows if row["enabled"] is not None
        },
    )


def begin(session: Session, entry: str, scheduled_at: datetime.datetime, task_id: uuid.UUID) -> bool:
    """Publish it before the commit. False: another beat has sent this tick. Raises what ``is_locked`` tells: it is
    about to, or stands still.
    """
    _HURRY.run(session, LOCK_TIMEOUT, LONGEST_SILENCE)
    return bool(_BEGIN.run(session, entry, scheduled_at, task_id))


def pass_by(session: Session, entry: str, scheduled_at: datetime.datetime, why: str) -> None:
    """This tick needs no run."""
    _PASS_BY.run(session, entry, scheduled_at, {"skipped": why})


def claim(session: Session, entry: str, scheduled_at: datetime.datetime, task_id: uuid.UUID) -> bool:
    """False: another message of the same tick was first."""
    return bool(_CLAIM.run(session, entry, scheduled_at, task_id))


def finish(
    session: Session, entry: str, scheduled_at: datetime.datetime, result: dict[str, Any] | None, error: str | None
) -> bool:
    """How it ended: with a result, or an error. False: that was written down before."""
    return bool(_FINISH.run(session, entry, scheduled_at, result, error))


_DELETE_OLD: Final = Prepared(
    """
    DELETE FROM beat_runs WHERE (entry, scheduled_at) IN (
      SELECT entry, scheduled_at FROM beat_runs old
      WHERE sent_at < clock_timestamp() - make_interval(secs => $1)
        AND EXISTS (SELECT FROM beat_runs WHERE entry = old.entry AND scheduled_at > old.scheduled_at)
      LIMIT $2
    )
    RETURNING entry
    """,
    *("double precision", "bigint"),
)


def older_than(age: datetime.timedelta) -> Callable[[Session, int], int]:
    """What deletes at most so many ticks of that age, but never the last of an entry; how many."""
    return lambda session, most: len(_DELETE_OLD.run(session, age.total_seconds(), most))
