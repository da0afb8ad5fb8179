"""Chunks of jobs that generate pictures: claimed, fenced, tried again; their items ended one by one, and with the last
of them the job. Prepared SQL.

Whoever writes locks the row of the job first and that of the chunk second (``hold``): a job's counts are changed by
one at a time.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import lanes
from pixmill_shared.repositories.endings import COMPLETE_GENERATION, made_and_linked
from pixmill_shared.repositories.work import WAKE_CHANNEL, WorkTable

WORK: Final = WorkTable("generation_chunks", owner="w.job_id::text", counts_claimed=True)


@dataclass(frozen=True)
class ClaimedChunk:
    """What a worker needs; ``attempts`` counts this claim, ``age`` is in seconds since the chunk was first claimed."""

    id: uuid.UUID
    fence: int
    attempts: int
    age: float
    job_id: uuid.UUID
    project: str
    recipe: dict[str, Any]
    destination: str | None
    request_id: str | None
    fallback: str
    cache: bool
    #: Seconds since the first chunk of the job was claimed.
    job_age: float = 0.0
    job_items: int = 1


@dataclass(frozen=True)
class Item:
    """One that is not finished. ``attempts``: calls to a provider that were begun before."""

    position: int
    category: str
    name: str
    prompt: str
    file_name: str
    attempts: int


@dataclass(frozen=True)
class Result:
    """How an item came out. ``provider`` None: it has no picture. ``rows``: its outputs, as those of ``jobs.complete``;
    ``facts`` and ``sha256`` are of the picture that they were made of.
    """

    success: bool
    provider: str | None
    error: dict[str, Any] | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] | None = None
    sha256: str = ""
    cached: bool = False
    duration_ms: int | None = None


# Only what is published: a message that was taken for lost may come when its place in the window is another chunk's.
# Whoever publishes commits afterwards, which the lock waits for.
_CLAIM = Prepared(
    """
    WITH job AS (
      SELECT j.*, c.dispatched_at IS NOT NULL AS published FROM jobs j JOIN generation_chunks c ON c.job_id = j.id
      WHERE c.id = $1 AND c.status = 'queued' AND c.run_at IS NULL AND j.status IN ('queued', 'processing')
      FOR NO KEY UPDATE OF j, c
    ),
    begun AS (
      UPDATE jobs SET status = 'processing', started_at = clock_timestamp(), run_at = NULL, attempts = 1
      FROM job WHERE jobs.id = job.id AND job.status = 'queued' AND job.published
    ),
    chunk AS (
      UPDATE generation_chunks c
      SET status = 'processing', fence = c.fence + 1, attempts = c.attempts + 1, claimed_by = $2,
          lease_until = clock_timestamp() + make_interval(secs => $3),
          started_at = coalesce(c.started_at, clock_timestamp()), dispatched_at = NULL, dispatches = 0
      FROM job JOIN generations g ON g.job_id = job.id
      WHERE c.id = $1 AND c.status = 'queued' AND c.run_at IS NULL AND job.published
      RETURNING c.id, c.fence, c.attempts, extract(epoch FROM clock_timestamp() - c.started_at)::float8 AS age,
                c.job_id, c.project, job.recipe, job.destination, job.request_id, g.fallback, g.cache,
                coalesce(extract(epoch FROM clock_timestamp() - job.started_at), 0)::float8 AS job_age,
                g.total_items AS job_items
    )
    SELECT * FROM chunk
    """,
    *("uuid", "text", "double precision"),
)

_DROP = Prepared(
    """
    UPDATE generation_chunks c
    SET status = 'canceled', lease_until = NULL, claimed_by = NULL, run_at = NULL, finished_at = clock_timestamp()
    FROM jobs j
    WHERE c.id = $1 AND j.id = c.job_id AND j.finished_at IS NOT NULL
      AND c.status IN ('queued', 'processing', 'waiting')
    """,
    "uuid",
)

_DROP_ALL = Prepared(
    """
    UPDATE generation_chunks SET status = 'canceled', run_at = NULL, finished_at = clock_timestamp()
    WHERE job_id = $1 AND status IN ('queued', 'waiting')
    """,
    "uuid",
)

_LOCK_JOB = Prepared("SELECT 1 FROM jobs WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED", "uuid")
_ITEMS = Prepared(
    """
    SELECT position, category, name, prompt, file_name, attempts FROM generation_items
    WHERE chunk_id = $1 AND finished_at IS NULL ORDER BY position
    """,
    "uuid",
)

_HELD = """
    FROM jobs j JOIN generation_chunks c ON c.job_id = j.id
    WHERE c.id = $1 AND c.fence = $2 AND c.status = 'processing' AND j.status = 'processing'"""

_IS_HELD = Prepared(f"SELECT 1 {_HELD}", *("uuid", "bigint"))
_HOLD = Prepared(f"SELECT 1 {_HELD} FOR NO KEY UPDATE OF j, c", *("uuid", "bigint"))

_FINISH_ITEM = Prepared(
    f"""
    WITH counts AS (
      UPDATE generations
      SET finished_items = finished_items + 1, real_items = real_items + CASE WHEN $5 THEN 1 ELSE 0 END
      WHERE job_id = $1 RETURNING finished_items, total_items
    ),
    job AS (
      UPDATE jobs SET sequence = sequence + 1, progress = least(99, 100 * counts.finished_items / counts.total_items)
      FROM counts WHERE id = $1 AND status = 'processing' RETURNING jobs.id, jobs.sequence
    ),
    {made_and_linked("$10", facts="$11", sha256="$12", after="counts")},
    item AS (
      UPDATE generation_items
      SET finished_at = clock_timestamp(), success = $5, provider = $6, error = $7, cached = $8, duration_ms = $9,
          outputs = ARRAY(SELECT name FROM made ORDER BY position)
      WHERE job_id = $1 AND position = $3 RETURNING position, category, name
    ),
    event AS (
      INSERT INTO job_events (id, job_id, sequence, type, data)
      SELECT $4, job.id, job.sequence, '{EventType.JOB_OUTPUT}', jsonb_build_object(
        'item', item.position, 'category', item.category, 'name', item.name, 'generation_success', $5, 'provider', $6,
        'outputs', (SELECT coalesce(jsonb_agg(name ORDER BY position), '[]') FROM made))
      FROM job, item
    ),
    fresh AS (UPDATE generation_chunks SET attempts = 1, error = NULL, traceback = NULL WHERE id = $2)
    SELECT (SELECT jsonb_agg(rendition.storage_key) FROM rendition) AS kept, (SELECT count(*) FROM linked) AS outputs,
           pg_notify('{WAKE_CHANNEL}', '') FROM item
    """,
    *("uuid", "uuid", "integer", "uuid", "boolean", "text", "jsonb", "boolean", "integer", "jsonb", "jsonb", "text"),
)

# The one that is let go has waited for its job so far, not for a worker: nobody is to be alarmed by its age.
_FINISH = Prepared(
    f"""
    WITH chunk AS (
      UPDATE generation_chunks
      SET status = 'completed', lease_until = NULL, claimed_by = NULL, finished_at = clock_timestamp(), error = NULL,
          traceback = NULL
      WHERE id = $1 RETURNING job_id, priority
    ),
    counts AS (
      UPDATE generations g SET finished_chunks = finished_chunks + 1 FROM chunk WHERE g.job_id = chunk.job_id
      RETURNING g.*
    ),
    job AS (
      UPDATE jobs SET sequence = sequence + 1 FROM chunk WHERE id = chunk.job_id
      RETURNING jobs.id, jobs.sequence, jobs.progress
    ),
    event AS (
      INSERT INTO job_events (id, job_id, sequence, type, data)
      SELECT $2, job.id, job.sequence, '{EventType.JOB_PROGRESS}', jsonb_build_object(
        'progress', job.progress, 'completed_chunks', counts.finished_chunks, 'total_chunks', counts.total_chunks,
        'completed_items', counts.finished_items, 'total_items', counts.total_items)
      FROM job, counts
    ),
    next AS (
      SELECT w.id, 1 + greatest(
        {lanes.reached(f"'{QueueName.GENERATE}'", "w.priority")},
        (SELECT max(o.turn) FROM generation_chunks o WHERE o.job_id = w.job_id AND o.status <> 'waiting')) AS turn
      FROM generation_chunks w, chunk WHERE w.job_id = chunk.job_id AND w.status = 'waiting'
      ORDER BY w.position LIMIT 1
    ),
    let_go AS (
      UPDATE generation_chunks w SET status = 'queued', turn = next.turn, created_at = clock_timestamp()
      FROM next WHERE w.id = next.id
    )
    SELECT pg_notify('{WAKE_CHANNEL}', '') FROM chunk
    """,
    *("uuid", "uuid"),
)

_RETRY = Prepared(
    """
    UPDATE generation_chunks
    SET status = 'queued', run_at = clock_timestamp() + make_interval(secs => $3), error = $4, traceback = $6,
        lease_until = NULL, claimed_by = NULL,
        attempts = CASE WHEN $5 THEN attempts ELSE greatest(attempts - 1, 0) END
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    """,
    *("uuid", "bigint", "double precision", "jsonb", "boolean", "text"),
)


def claim(session: Session, chunk_id: uuid.UUID, worker: str, lease: float) -> ClaimedChunk | None:
    """Compare-and-set; the first of a job starts it. None: it is another's, not published, or its job has ended."""
    rows = _CLAIM.run(session, chunk_id, worker, lease)
    if not rows:
        drop(session, chunk_id)
        return None
    return ClaimedChunk(**rows[0])


def drop(session: Session, chunk_id: uuid.UUID) -> None:
    """End a chunk whose job has ended; any other stays as it is."""
    _DROP.run(session, chunk_id)


def drop_all(session: Session, job_id: uuid.UUID) -> None:
    """End the chunks that nobody works on, of a job that has ended in this transaction; who works on one drops it."""
    _DROP_ALL.run(session, job_id)


def lock_job(session: Session, job_id: uuid.UUID) -> bool:
    """For who has locked a chunk first, and may not wait. False: somebody else has the row of the job."""
    return bool(_LOCK_JOB.run(session, job_id))


def unfinished(session: Session, chunk: ClaimedChunk) -> list[Item]:
    """In the order of the request."""
    return [Item(**row) for row in _ITEMS.run(session, chunk.id)]


def is_claimed(session: Session, chunk: ClaimedChunk) -> bool:
    """Is it still this claim, of a job that goes on?"""
    return bool(_IS_HELD.run(session, chunk.id, chunk.fence))


def hold(session: Session, chunk: ClaimedChunk) -> bool:
    """The same, and it stays so until the transaction ends. Before anything is written."""
    return bool(_HOLD.run(session, chunk.id, chunk.fence))


def finish_item(session: Session, chunk: ClaimedChunk, item: Item, result: Result) -> list[str]:
    """Item, renditions, outputs, counts and event at once; the claim is held. Returns the storage keys that its new
    renditions have now: another job may have made one first.
    """
    rows = _FINISH_ITEM.run(
        session,
        *(chunk.job_id, chunk.id, item.position, new_id(), result.success, result.provider, result.error),
        *(result.cached, result.duration_ms, json.dumps([dict(row) for row in result.rows], default=str)),
        *(dict(result.facts) if result.facts is not None else None, result.sha256),
    )
    return list(rows[0]["kept"] or [])


def finish(session: Session, chunk: ClaimedChunk) -> None:
    """All its items are finished; the claim is held. The next chunk of the job may be worked on, or the job is over."""
    _FINISH.run(session, chunk.id, new_id())
    COMPLETE_GENERATION.run(session, chunk.job_id, 0, new_id(), EventType.JOB_COMPLETED, new_id())


def retry(
    session: Session,
    chunk: ClaimedChunk,
    delay: float,
    error: dict[str, Any] | None,
    *,
    counted: bool = True,
    traceback: str | None = None,
) -> bool:
    """What is unfinished is tried again after ``delay`` seconds. False: the claim was lost."""
    return bool(_RETRY.run(session, chunk.id, chunk.fence, delay, error, counted, traceback))
