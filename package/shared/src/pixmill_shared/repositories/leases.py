"""Leases of one worker, which holds claims under its name: renewed, run out at once, handed back. Prepared SQL.

No fence: who asks is the worker's main process, which knows whom it works for and not which claims its children made.
The name of a worker is never used again, and it has at most one claim of a row.
"""

import uuid
from collections.abc import Collection
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories import lanes, reservations
from pixmill_shared.repositories.reservations import RELEASED
from pixmill_shared.repositories.work import WAKE_CHANNEL

# What a job has reserved is its own for as long as its claim. Rows that are locked are being ended or expired by those
# who locked them: waiting for one could be waiting for each other.
_RESERVATIONS = """,
    held AS (
      SELECT r.key, renewed.lease_until FROM rendition_reservations r JOIN renewed ON r.job_id = renewed.id
      FOR NO KEY UPDATE OF r SKIP LOCKED
    ),
    kept AS (UPDATE rendition_reservations r SET lease_until = held.lease_until FROM held WHERE r.key = held.key)
"""
# Passes of the dispatcher do not look behind the turn that it has reached.
_LANE = f"lane AS (SELECT {lanes.reached('w.queue', 'w.priority')} AS reached FROM {{table}} w WHERE w.id = $1)"
_NO_RESERVATIONS = "released AS (SELECT NULL::text AS key WHERE false)"


class Leases:
    """Of one table of work (``WorkColumns``); ``reserves``: its rows may hold reservations of renditions."""

    def __init__(self, table: str, *, reserves: bool) -> None:
        self.table = table
        self._renew = Prepared(
            f"""
            WITH mine AS (
              SELECT id FROM {table} WHERE id = ANY($1::uuid[]) AND status = 'processing' AND claimed_by = $2
              FOR NO KEY UPDATE SKIP LOCKED
            ),
            renewed AS (
              UPDATE {table} w SET lease_until = clock_timestamp() + make_interval(secs => $3)
              FROM mine WHERE w.id = mine.id RETURNING w.id, w.lease_until
            ){_RESERVATIONS if reserves else ""}
            SELECT id FROM renewed
            """,
            *("text[]", "text", "double precision"),
        )
        self._run_out = Prepared(
            f"""
            WITH ended AS (
              UPDATE {table} SET lease_until = clock_timestamp()
              WHERE id = $1 AND claimed_by = $2 AND status = 'processing' RETURNING id
            )
            SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM ended
            """,
            *("uuid", "text"),
        )
        self._hand_back = Prepared(
            f"""
            WITH {_LANE.format(table=table)},
            job AS (
              UPDATE {table}
              SET status = 'queued', attempts = greatest(attempts - 1, 0), lease_until = NULL, claimed_by = NULL,
                  run_at = clock_timestamp() + make_interval(secs => $3),
                  turn = greatest(turn, (SELECT reached FROM lane))
              WHERE id = $1 AND claimed_by = $2 AND status = 'processing'
                AND ($4 IS NULL OR started_at > clock_timestamp() - make_interval(secs => $4)) RETURNING id
            ),
            {RELEASED if reserves else _NO_RESERVATIONS}
            SELECT id, (SELECT array_agg(key) FROM released) AS released, pg_notify('{WAKE_CHANNEL}', '') FROM job
            """,
            *("uuid", "text", "double precision", "double precision"),
        )
        self._unpublish = Prepared(
            f"""
            WITH {_LANE.format(table=table)},
            unsent AS (
              UPDATE {table} SET dispatched_at = NULL, turn = greatest(turn, (SELECT reached FROM lane))
              WHERE id = $1 AND status = 'queued' AND dispatched_at IS NOT NULL
              RETURNING id
            )
            SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM unsent
            """,
            "uuid",
        )

    def renew(self, session: Session, ids: Collection[uuid.UUID], holder: str, lease: float) -> int:
        """``holder`` has its claims of ``ids`` for ``lease`` seconds from now; how many those are."""
        return len(self._renew.run(session, [str(each) for each in ids], holder, lease))

    def run_out(self, session: Session, row_id: uuid.UUID, holder: str) -> bool:
        """The claim is over, and its attempt counts: the dispatcher decides what follows. False: it was not there."""
        return bool(self._run_out.run(session, row_id, holder))

    def hand_back(
        self,
        session: Session,
        row_id: uuid.UUID,
        holder: str,
        *,
        delay: float | None = None,
        younger: float | None = None,
    ) -> bool:
        """As if it had not been claimed: due at once, or after ``delay`` seconds.

        False: there was no claim, or the row was first claimed more than ``younger`` seconds ago.
        """
        rows = self._hand_back.run(session, row_id, holder, delay, younger)
        if rows:
            reservations.wake(session, rows[0]["released"] or [])
        return bool(rows)

    def unpublish(self, session: Session, row_id: uuid.UUID) -> bool:
        """Its message will not be worked on here: due at once. False: somebody has claimed it."""
        return bool(self._unpublish.run(session, row_id))


JOBS: Final = Leases("jobs", reserves=True)
CHUNKS: Final = Leases("generation_chunks", reserves=False)
DELIVERIES: Final = Leases("deliveries", reserves=False)
MESSAGES: Final = Leases("alert_messages", reserves=False)
REQUESTS: Final = Leases("task_requests", reserves=False)
