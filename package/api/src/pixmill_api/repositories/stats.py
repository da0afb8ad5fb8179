"""How much there is, without counting it all: every count ends at a bound, and every one is a range of an index.
Prepared SQL.
"""

import datetime
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import least_id
from pixmill_shared.domain.jobs import JobStatus

_STATUSES: Final = ", ".join(f"('{status}')" for status in JobStatus)

# Ids begin with the time that they were minted at, so a span of time is a range of the index by project and status.
_BY_STATUS = Prepared(
    f"""
    SELECT s.status, (
      SELECT count(*) FROM (
        SELECT FROM jobs j WHERE j.project = $1 AND j.status = s.status AND j.id >= $2 LIMIT $3
      ) AS counted
    ) AS jobs
    FROM (VALUES {_STATUSES}) AS s (status)
    """,
    *("text", "uuid", "bigint"),
)

_RECENT = Prepared(
    """
    WITH recent AS (
      SELECT id, created_at, source, extract(epoch FROM finished_at - started_at) * 1000 AS ms FROM jobs
      WHERE project = $1 AND status = 'completed' ORDER BY id DESC LIMIT $2
    ),
    made AS (
      SELECT count(*) FILTER (WHERE NOT o.cached) AS made, count(*) FILTER (WHERE o.cached) AS reused,
             sum(r.bytes) AS bytes_out
      FROM recent JOIN outputs o ON o.job_id = recent.id JOIN renditions r ON r.id = o.rendition_id
    )
    SELECT count(*) AS jobs, min(created_at) AS since,
           coalesce(sum((source ->> 'bytes')::bigint), 0)::bigint AS bytes_in,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY ms)::float8 AS p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY ms)::float8 AS p95,
           (SELECT made FROM made) AS made, (SELECT reused FROM made) AS reused,
           coalesce((SELECT bytes_out FROM made), 0)::bigint AS bytes_out
    FROM recent
    """,
    *("text", "bigint"),
)

WORK_TABLES: Final = ("jobs", "deliveries", "alert_messages", "task_requests")


def _queues_of(table: str) -> Prepared:
    """Of the rows of one table, by queue and state, with when the oldest of those that were looked at was made.

    Ready and published rows have indexes by queue. The others do not: they are looked at together.
    """
    waiting = f"SELECT w.created_at FROM {table} w WHERE w.queue = q.queue AND w.status = 'queued' AND w.dispatched_at"
    return Prepared(
        f"""
        WITH q AS (SELECT unnest($1) AS queue)
        SELECT q.queue, 'ready' AS state, counted.* FROM q CROSS JOIN LATERAL (
          SELECT count(*) AS rows, min(created_at) AS oldest FROM (
            {waiting} IS NULL AND w.run_at IS NULL ORDER BY w.queue, w.priority, w.turn, w.id LIMIT $2
          ) AS ready
        ) AS counted
        UNION ALL
        SELECT q.queue, 'published', counted.* FROM q CROSS JOIN LATERAL (
          SELECT count(*), min(created_at) FROM (
            {waiting} IS NOT NULL ORDER BY w.queue, w.priority, w.dispatch_number LIMIT $2
          ) AS published
        ) AS counted
        UNION ALL
        SELECT queue, 'delayed', count(*), NULL FROM (
          SELECT queue FROM {table} WHERE status = 'queued' AND run_at IS NOT NULL ORDER BY run_at LIMIT $2
        ) AS delayed GROUP BY queue
        UNION ALL
        SELECT queue, 'processing', count(*), NULL FROM (
          SELECT queue FROM {table} WHERE lease_until IS NOT NULL AND status = 'processing'
          ORDER BY lease_until DESC LIMIT $2
        ) AS processing GROUP BY queue
        """,
        *("text[]", "bigint"),
    )


_QUEUES: Final = {table: _queues_of(table) for table in WORK_TABLES}

_NOW = Prepared("SELECT statement_timestamp() AS now")


def jobs_by_status(session: Session, project: str, since: datetime.datetime, most: int) -> dict[str, int]:
    """Of those made since then; no count is above ``most``."""
    return {row["status"]: row["jobs"] for row in _BY_STATUS.run(session, project, least_id(since), most)}


def recent(session: Session, project: str, jobs: int) -> dict[str, Any]:
    """Figures of the project's newest completed jobs, that many of them at most; times in milliseconds."""
    return _RECENT.run(session, project, jobs)[0]


def queues(session: Session, table: str, names: Sequence[str], most: int) -> list[dict[str, Any]]:
    """``queue``, ``state``, ``rows`` and ``oldest`` of one of ``WORK_TABLES``; no count is above ``most``, and neither
    is the sum of those of the delayed, and of those that are being processed.
    """
    return _QUEUES[table].run(session, list(names), most)


def now(session: Session) -> datetime.datetime:
    """By the database's clock, as the times of rows are."""
    found: datetime.datetime = _NOW.run(session)[0]["now"]
    return found
