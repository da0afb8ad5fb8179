"""How much there is, without counting it all: every count ends at a bound, and every one is a range of an index.
Prepared SQL. The bounds are constants of it: of a LIMIT that it does not know Postgres expects a tenth of the table.
"""

import datetime
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import least_id
from pixmill_shared.domain.jobs import JobStatus

MOST_JOBS: Final = 10_000
"""Jobs of a status that are counted."""
MOST_QUEUED: Final = 1_000
"""Rows of a queue that are counted in each state."""
RECENT_JOBS: Final = 1_000
"""Completed jobs that durations and bytes are of."""

_STATUSES: Final = ", ".join(f"('{status}')" for status in JobStatus)

# Ids begin with the time that they were minted at, so a span of time is a range of the index by project and status.
_BY_STATUS = Prepared(
    f"""
    SELECT s.status, (
      SELECT count(*) FROM (
        SELECT FROM jobs j WHERE j.project = $1 AND j.status = s.status AND j.id >= $2 LIMIT {MOST_JOBS + 1}
      ) AS counted
    ) AS jobs
    FROM (VALUES {_STATUSES}) AS s (status)
    """,
    *("text", "uuid"),
)

# Not by an equal status: then the order would be that of the primary key, which reads the jobs of all projects. And not
# by a join: some plans of one read all outputs.
_RECENT = Prepared(
    f"""
    WITH recent AS MATERIALIZED (
      SELECT id, created_at, source, extract(epoch FROM finished_at - started_at) * 1000 AS ms FROM jobs
      WHERE project = $1 AND status >= 'completed' AND status <= 'completed'
      ORDER BY status DESC, id DESC LIMIT {RECENT_JOBS}
    ),
    made AS (
      SELECT count(*) FILTER (WHERE NOT o.cached) AS made, count(*) FILTER (WHERE o.cached) AS reused,
             sum(o.bytes) AS bytes_out
      FROM recent CROSS JOIN LATERAL (
        SELECT o.cached, r.bytes FROM outputs o JOIN renditions r ON r.id = o.rendition_id
        WHERE o.job_id = recent.id OFFSET 0
      ) AS o
    )
    SELECT count(*) AS jobs, min(created_at) AS since,
           coalesce(sum((source ->> 'bytes')::bigint), 0)::bigint AS bytes_in,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY ms)::float8 AS p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY ms)::float8 AS p95,
           (SELECT made FROM made) AS made, (SELECT reused FROM made) AS reused,
           coalesce((SELECT bytes_out FROM made), 0)::bigint AS bytes_out
    FROM recent
    """,
    "text",
)

WORK_TABLES: Final = ("jobs", "generation_chunks", "deliveries", "alert_messages", "task_requests")


def _queues_of(table: str) -> Prepared:
    """Of the rows of one table, by queue and state, with when the oldest of those that were looked at was made.

    Ready and published rows have indexes by queue. The others do not: they are looked at together.
    """
    # As above, for there are other indexes of queued rows.
    of_queue = "w.queue >= q.queue AND w.queue <= q.queue AND w.status = 'queued'"
    waiting = f"SELECT w.created_at FROM {table} w WHERE {of_queue} AND w.dispatched_at"
    return Prepared(
        f"""
        WITH q AS (SELECT unnest($1) AS queue)
        SELECT q.queue, 'ready' AS state, counted.* FROM q CROSS JOIN LATERAL (
          SELECT count(*) AS rows, min(created_at) AS oldest FROM (
            {waiting} IS NULL AND w.run_at IS NULL ORDER BY w.queue, w.priority, w.turn, w.id LIMIT {MOST_QUEUED + 1}
          ) AS ready
        ) AS counted
        UNION ALL
        SELECT q.queue, 'published', counted.* FROM q CROSS JOIN LATERAL (
          SELECT count(*), min(created_at) FROM (
            {waiting} IS NOT NULL ORDER BY w.queue, w.priority, w.dispatch_number LIMIT {MOST_QUEUED + 1}
          ) AS published
        ) AS counted
        UNION ALL
        SELECT queue, 'delayed', count(*), NULL FROM (
          SELECT queue FROM {table} WHERE status = 'queued' AND run_at IS NOT NULL
          ORDER BY run_at LIMIT {MOST_QUEUED + 1}
        ) AS delayed GROUP BY queue
        UNION ALL
        SELECT queue, 'processing', count(*), NULL FROM (
          SELECT queue FROM {table} WHERE lease_until IS NOT NULL AND status = 'processing'
          ORDER BY lease_until DESC LIMIT {MOST_QUEUED + 1}
        ) AS processing GROUP BY queue
        """,
        "text[]",
    )


_QUEUES: Final = {table: _queues_of(table) for table in WORK_TABLES}

# A plan is kept, perhaps one that was made while a table was so small that sorting it cost less than its index.
_BEGIN = Prepared(
    """
    SELECT statement_timestamp() AS now, set_config('enable_sort', 'off', true),
           set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)
    """
)


def jobs_by_status(session: Session, project: str, since: datetime.datetime) -> dict[str, int]:
    """Of those made since then. One more than ``MOST_JOBS`` means that there are more."""
    return {row["status"]: row["jobs"] for row in _BY_STATUS.run(session, project, least_id(since))}


def recent(session: Session, project: str) -> dict[str, Any]:
    """Figures of the project's newest completed jobs, ``RECENT_JOBS`` at most; times in milliseconds."""
    return _RECENT.run(session, project)[0]


def queues(session: Session, table: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """``queue``, ``state``, ``rows`` and ``oldest`` of one of ``WORK_TABLES``. One more than ``MOST_QUEUED``, or as sum
    of those of the delayed, or of those that are being processed, means that there are more.
    """
    return _QUEUES[table].run(session, list(names))


def begin(session: Session) -> datetime.datetime:
    """Before the others of a transaction: they are then planned for tables of any size. The time is the database's, as
    those of rows are.
    """
    found: datetime.datetime = _BEGIN.run(session)[0]["now"]
    return found
