"""Dispatch, claim and recovery of any table of work (``WorkColumns``): prepared SQL.

Who writes what: submission inserts ``queued``; the dispatcher sets ``dispatched_at``; a claim makes it
``processing`` with ``fence`` + 1 and a lease; whatever ends the claim carries that fence in its WHERE.
All times are the database's, so that the clocks of workers do not matter.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

WAKE_CHANNEL: Final = "pixmill_work"
"""NOTIFY channel: a commit made work due."""


@dataclass(frozen=True)
class Due:
    """A row that was taken for publishing."""

    id: uuid.UUID
    queue: str
    stage: str | None


class WorkTable:
    """The statements of one table. ``stage`` is the name of its stage column, for tables that have one."""

    def __init__(self, table: str, stage: str = "NULL::text") -> None:
        self.table = table
        # A queue holds at most a window of published, unclaimed rows; the rest of the backlog stays here.
        self._take = Prepared(
            f"""
            WITH due AS (
              SELECT picked.id FROM unnest($1) AS q(queue)
              CROSS JOIN LATERAL (
                SELECT count(*) AS n FROM {table} w
                WHERE w.queue = q.queue AND w.status = 'queued' AND w.dispatched_at IS NOT NULL
              ) AS published
              CROSS JOIN LATERAL (
                SELECT w.id FROM {table} w
                WHERE w.queue = q.queue AND w.status = 'queued' AND w.dispatched_at IS NULL AND w.run_at IS NULL
                ORDER BY w.priority, w.id
                LIMIT greatest($2 - published.n, 0)
                FOR UPDATE SKIP LOCKED
              ) AS picked
            )
            UPDATE {table} w SET dispatched_at = clock_timestamp(), dispatches = dispatches + 1
            FROM due WHERE w.id = due.id
            RETURNING w.id, w.queue, {stage} AS stage
            """,
            "text[]",
            "bigint",
        )
        self._ripen = Prepared(
            f"UPDATE {table} SET run_at = NULL WHERE status = 'queued' AND run_at <= clock_timestamp()"
        )
        # A message that nobody claimed is sent again; the wait doubles, so a busy queue is not flooded.
        self._forget_lost = Prepared(
            f"""
            UPDATE {table} SET dispatched_at = NULL
            WHERE status = 'queued' AND queue = ANY($1) AND dispatched_at
              < clock_timestamp() - make_interval(secs => $2 * power(2, least(greatest(dispatches, 1), 7) - 1))
            RETURNING id
            """,
            "text[]",
            "double precision",
        )
        self._expire = Prepared(
            f"""
            UPDATE {table} SET status = 'queued', lease_until = NULL, claimed_by = NULL, dispatched_at = NULL
            WHERE status = 'processing' AND lease_until < clock_timestamp() AND attempts < $1
            RETURNING id
            """,
            "bigint",
        )
        self._exhausted = Prepared(
            f"""
            SELECT id, fence FROM {table}
            WHERE status = 'processing' AND lease_until < clock_timestamp() AND attempts >= $1
            ORDER BY lease_until LIMIT 100 FOR UPDATE SKIP LOCKED
            """,
            "bigint",
        )

    def take_due(self, session: Session, queues: Sequence[str], window: int) -> list[Due]:
        """Mark and return the rows that fit into each queue's window. Publish them, then commit."""
        return [Due(**row) for row in self._take.run(session, list(queues), window)]

    def ripen(self, session: Session) -> None:
        """Rows whose ``run_at`` has come are ready."""
        self._ripen.run(session)

    def forget_lost(self, session: Session, queues: Sequence[str], after: float) -> int:
        """Rows whose message was not claimed within ``after`` seconds are ready again; how many."""
        return len(self._forget_lost.run(session, list(queues), after))

    def expire_leases(self, session: Session, max_attempts: int) -> int:
        """Rows whose worker went silent are ready again, unless their attempts are used up; how many."""
        return len(self._expire.run(session, max_attempts))

    def exhausted(self, session: Session, max_attempts: int) -> list[dict[str, Any]]:
        """``id`` and ``fence`` of rows whose last worker went silent; locked."""
        return self._exhausted.run(session, max_attempts)
