"""First answers to requests with an ``Idempotency-Key``. Prepared SQL, in the transaction that makes the resource.

So what a crash leaves behind is both the resource and its answer, or neither. While a transaction that answers for a
key is open, it holds an advisory lock: whoever comes second need not wait to know that the first is still running,
and the lock goes with the connection if the process dies.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

_NAMESPACE: Final = 7_306_086_967_071_402  # any constant of ours: other advisory locks have other numbers

# The length keeps one project's end apart from its key's beginning. Two keys with the same hash would only answer
# "still running" to each other, and that only at the same moment.
_LOCK = Prepared(
    f"""
    SELECT pg_try_advisory_xact_lock(hashtextextended(length($1)::text || ':' || $1 || $2, {_NAMESPACE})) AS locked
    """,
    *("text", "text"),
)

# A statement of its own, after the lock: its snapshot sees what the holder before committed.
_FIND = Prepared(
    """
    SELECT request_sha256, status, headers, body FROM idempotency_records
    WHERE project = $1 AND key = $2 AND expires_at > clock_timestamp()
    """,
    *("text", "text"),
)

_RECORD = Prepared(
    """
    INSERT INTO idempotency_records AS r (project, key, request_sha256, status, headers, body, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))
    ON CONFLICT (project, key) DO UPDATE
      SET request_sha256 = excluded.request_sha256, status = excluded.status, headers = excluded.headers,
          body = excluded.body, created_at = clock_timestamp(), expires_at = excluded.expires_at
      WHERE r.expires_at <= clock_timestamp()
    RETURNING key
    """,
    *("text", "text", "bytea", "smallint", "jsonb", "bytea", "double precision"),
)

_DELETE_EXPIRED = Prepared(
    """
    DELETE FROM idempotency_records r USING (
      SELECT project, key FROM idempotency_records WHERE expires_at <= clock_timestamp()
      ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ) AS expired
    WHERE r.project = expired.project AND r.key = expired.key RETURNING r.key
    """,
    "bigint",
)


@dataclass(frozen=True)
class Recorded:
    """An answer as it was sent: ``body`` byte for byte. ``request_sha256`` tells which request it answered."""

    request_sha256: bytes
    status: int
    headers: dict[str, Any]
    body: bytes


def lock(session: Session, project: str, key: str) -> bool:
    """Answer for the key until the transaction ends. False: another transaction does."""
    return bool(_LOCK.run(session, project, key)[0]["locked"])


def find(session: Session, project: str, key: str) -> Recorded | None:
    """The answer that the key has. Take the lock first."""
    rows = _FIND.run(session, project, key)
    if not rows:
        return None
    row = rows[0]
    return Recorded(bytes(row["request_sha256"]), row["status"], row["headers"], bytes(row["body"]))


def record(session: Session, project: str, key: str, answer: Recorded, keep: float) -> bool:
    """Kept for ``keep`` seconds. False: the key has an answer already, and nothing was written."""
    values = (answer.request_sha256, answer.status, answer.headers, answer.body)
    return bool(_RECORD.run(session, project, key, *values, keep))


def delete_expired(session: Session, limit: int) -> int:
    """Remove at most ``limit`` answers whose time is over; how many."""
    return len(_DELETE_EXPIRED.run(session, limit))
