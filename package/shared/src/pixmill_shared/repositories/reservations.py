"""Who is making which rendition, so that nobody else does. Prepared SQL.

A job reserves the keys that it is going to make, or none: if another one holds any of them, it waits as a row, with
``jobs.waits_for``, and holds no process. The statement that ends the holder's claim drops its reservations, and
``wake`` then makes those due who wait for them. No wake-up is lost: a waiter looks at the reservation once more, with a
lock that the dropping has to wait for, or that has to wait for the dropping.

All statements lock reservations in the order of their keys and before renditions, so no two jobs wait for each other.
"""

import uuid
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories import lanes
from pixmill_shared.repositories.work import WAKE_CHANNEL

#: A clause for statements that end the claim of the row in ``job``.
RELEASED: Final = """
    released AS (
      DELETE FROM rendition_reservations r USING (
        SELECT key FROM rendition_reservations WHERE job_id IN (SELECT id FROM job) ORDER BY key FOR UPDATE
      ) AS held
      WHERE r.key = held.key RETURNING r.key
    )
"""

_RESERVE = Prepared(
    """
    INSERT INTO rendition_reservations AS r (key, job_id, lease_until)
    SELECT wanted.key, job.id, job.lease_until
    FROM jobs AS job, unnest($3) AS wanted(key)
    WHERE job.id = $1 AND job.fence = $2 AND job.status = 'processing'
    ORDER BY wanted.key
    ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, lease_until = excluded.lease_until
      WHERE r.job_id = excluded.job_id OR r.lease_until < clock_timestamp()
    RETURNING key
    """,
    *("uuid", "bigint", "text[]"),
)

_DROP = Prepared(
    f"""
    WITH job AS (SELECT id FROM jobs WHERE id = $1 AND fence = $2 AND status = 'processing'), {RELEASED}
    SELECT key FROM released
    """,
    *("uuid", "bigint"),
)

_IS_HELD = Prepared(
    """
    SELECT key FROM rendition_reservations
    WHERE key = $1 AND job_id <> $2 AND lease_until > clock_timestamp() FOR KEY SHARE
    """,
    *("text", "uuid"),
)

# Rows that somebody else has locked are being made due, claimed or canceled right now.
_WAKE = Prepared(
    f"""
    WITH waiting AS (
      SELECT id, queue, priority, turn, owner FROM jobs
      WHERE waits_for = ANY($1) AND status = 'queued' FOR NO KEY UPDATE SKIP LOCKED
    ),
    {lanes.again("waiting")},
    woken AS (
      UPDATE jobs SET run_at = NULL, waits_for = NULL, turn = greatest(jobs.turn, again.turn)
      FROM again WHERE jobs.id = again.id RETURNING jobs.id
    )
    SELECT pg_notify('{WAKE_CHANNEL}', '') FROM woken LIMIT 1
    """,
    "text[]",
)


def reserve(session: Session, job_id: uuid.UUID, fence: int, keys: Collection[str]) -> set[str]:
    """Those of ``keys`` that are the job's now, for as long as its claim; none if the claim was lost."""
    return {row["key"] for row in _RESERVE.run(session, job_id, fence, sorted(set(keys)))}


def drop(session: Session, job_id: uuid.UUID, fence: int) -> None:
    """Give up all that the claim has reserved, and wake those who wait for it."""
    wake(session, [row["key"] for row in _DROP.run(session, job_id, fence)])


def is_held(session: Session, key: str, by_other_than: uuid.UUID) -> bool:
    """It stays so until this transaction ends."""
    return bool(_IS_HELD.run(session, key, by_other_than))


def wake(session: Session, keys: Sequence[str]) -> None:
    """The jobs that wait for one of ``keys`` are due. In a statement of its own: it sees who began to wait while the
    one before waited for a lock.
    """
    if keys:
        _WAKE.run(session, list(keys))
