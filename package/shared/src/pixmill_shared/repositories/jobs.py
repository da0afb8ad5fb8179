"""Jobs on the hot path: submit, claim, advance, retry, finish. Prepared SQL.

Each write after a claim carries ``id`` and ``fence`` in its WHERE: a worker that lost its claim writes nothing.
"""

import datetime
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import CancelOutcome, JobStatus, Stage
from pixmill_shared.repositories import lanes, reservations
from pixmill_shared.repositories.endings import CANCEL, COMPLETE, FAIL
from pixmill_shared.repositories.reservations import RELEASED
from pixmill_shared.repositories.work import WAKE_CHANNEL, WorkTable

WORK: Final = WorkTable("jobs", owner="w.owner", stage="w.stage", size="(w.source->>'bytes')::bigint")

LONGEST_WAIT: Final = 10.0
"""Seconds until a job that waits for another one looks by itself."""


@dataclass(frozen=True)
class ClaimedJob:
    """What a worker needs of the row; ``attempts`` counts this claim."""

    id: uuid.UUID
    project: str
    fence: int
    attempts: int
    source: dict[str, Any]
    source_key: str | None
    source_sha256: str | None
    recipe: dict[str, Any]
    destination: str | None
    priority: int
    request_id: str | None
    #: Seconds since it was first claimed, by the database's clock.
    age: float = 0.0
    batch_id: uuid.UUID | None = None


_INSERT = Prepared(
    f"""
    WITH job AS (
      INSERT INTO jobs (id, project, kind, stage, queue, priority, api_key_id, source, source_key, source_sha256,
                        recipe, metadata, webhook_url, request_id, destination, retry_of, run_at,
                        owner, turn, preset, preset_version)
      VALUES ($1, $2, 'process', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
              CASE WHEN $16 > clock_timestamp() THEN $16 END, $17, {lanes.next_turn("$4", "$5", "$17")}, $18, $19)
      RETURNING created_at
    )
    SELECT created_at, pg_notify('{WAKE_CHANNEL}', '') FROM job
    """,
    *("uuid", "text", "text", "text", "smallint", "uuid", "jsonb"),
    *("text", "text", "jsonb", "jsonb", "text", "text", "text", "uuid", "timestamptz", "text", "text", "integer"),
)

_CLAIM = Prepared(
    """
    UPDATE jobs
    SET status = 'processing', fence = fence + 1, attempts = attempts + 1, claimed_by = $3,
        lease_until = clock_timestamp() + make_interval(secs => $4),
        started_at = coalesce(started_at, clock_timestamp()), dispatched_at = NULL, dispatches = 0,
        waits_for = NULL
    WHERE id = $1 AND stage = $2 AND status = 'queued' AND run_at IS NULL
    RETURNING id, project, fence, attempts, source, source_key, source_sha256, recipe, destination, priority,
              request_id, extract(epoch FROM clock_timestamp() - started_at)::float8 AS age, batch_id
    """,
    *("uuid", "text", "text", "double precision"),
)

_ADVANCE = Prepared(
    f"""
    WITH next AS (SELECT {lanes.next_turn("$4", "j.priority", "j.owner")} AS turn FROM jobs j WHERE j.id = $1),
    job AS (
      UPDATE jobs
      SET status = 'queued', stage = $3, queue = $4, source_key = $5, source_sha256 = $6, source = source || $7,
          attempts = 0, lease_until = NULL, claimed_by = NULL, progress = $8, error = NULL, traceback = NULL,
          turn = (SELECT turn FROM next)
      WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    )
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM job
    """,
    *("uuid", "bigint", "text", "text", "text", "text", "jsonb", "smallint"),
)

_RETRY = Prepared(
    f"""
    WITH job AS (
      UPDATE jobs
      SET status = 'queued', run_at = clock_timestamp() + make_interval(secs => $3), error = $4, traceback = $6,
          lease_until = NULL, claimed_by = NULL,
          attempts = CASE WHEN $5 THEN attempts ELSE greatest(attempts - 1, 0) END
      WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    ),
    {RELEASED}
    SELECT id, (SELECT array_agg(key) FROM released) AS released FROM job
    """,
    *("uuid", "bigint", "double precision", "jsonb", "boolean", "text"),
)

# A claim that was given back was no attempt. Whoever drops the reservation wakes the job; that it is due with the
# holder's lease, and now and then before, is for a holder that is gone without a word.
_WAIT = Prepared(
    """
    UPDATE jobs
    SET status = 'queued', waits_for = $3, attempts = greatest(attempts - 1, 0), lease_until = NULL, claimed_by = NULL,
        run_at = least(clock_timestamp() + make_interval(secs => $4),
                       (SELECT lease_until FROM rendition_reservations WHERE key = $3))
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    """,
    *("uuid", "bigint", "text", "double precision"),
)


_IS_CLAIMED = Prepared("SELECT 1 FROM jobs WHERE id = $1 AND fence = $2 AND status = 'processing'", "uuid", "bigint")

_HELD_BY = Prepared(
    """
    SELECT stage, id, project, fence, attempts, source, source_key, source_sha256, recipe, destination, priority,
           request_id
    FROM jobs WHERE id = $1 AND claimed_by = $2 AND status = 'processing' FOR NO KEY UPDATE
    """,
    *("uuid", "text"),
)

_STATUS = Prepared("SELECT status FROM jobs WHERE id = $1 AND project = $2", "uuid", "text")


@dataclass(frozen=True)
class NewJob:
    """A validated submission. ``source_key`` and ``source_sha256`` are known for uploads only."""

    project: str
    stage: Stage
    queue: QueueName
    priority: int
    source: dict[str, Any]
    recipe: dict[str, Any]
    source_key: str | None = None
    source_sha256: str | None = None
    api_key_id: uuid.UUID | None = None
    metadata: dict[str, Any] | None = None
    webhook_url: str | None = None
    request_id: str | None = None
    destination: str | None = None
    #: The job that this one repeats.
    retry_of: uuid.UUID | None = None
    #: Not before; what is over by the database's clock is due at once.
    run_at: datetime.datetime | None = None
    #: Whose turn it takes; None: the project's.
    owner: str | None = None
    #: What the recipe was named, and which version of it that is.
    preset: str | None = None
    preset_version: int | None = None


def insert(session: Session, job: NewJob) -> uuid.UUID:
    """One statement; the dispatcher is notified at commit."""
    job_id = new_id()
    _INSERT.run(
        session,
        *(
            job_id,
            job.project,
            job.stage,
            job.queue,
            job.priority,
            job.api_key_id,
            job.source,
            job.source_key,
        ),
        *(job.source_sha256, job.recipe, job.metadata or {}, job.webhook_url, job.request_id, job.destination),
        *(job.retry_of, job.run_at, job.owner or lanes.owner_of(job.project), job.preset, job.preset_version),
    )
    return job_id


def claim(session: Session, job_id: uuid.UUID, stage: Stage, worker: str, lease: float) -> ClaimedJob | None:
    """Compare-and-set. None: someone else has it, it is finished, or it is not due; return silently."""
    rows = _CLAIM.run(session, job_id, stage, worker, lease)
    return ClaimedJob(**rows[0]) if rows else None


def is_claimed(session: Session, job_id: uuid.UUID, fence: int) -> bool:
    """Is it still the claim with this ``fence`` that the job is worked on under?"""
    return bool(_IS_CLAIMED.run(session, job_id, fence))


def held_by(session: Session, job_id: uuid.UUID, holder: str) -> tuple[Stage, ClaimedJob] | None:
    """The stage and the claim that ``holder`` has, locked; None if it has none."""
    rows = _HELD_BY.run(session, job_id, holder)
    return (Stage(rows[0].pop("stage")), ClaimedJob(**rows[0])) if rows else None


def advance(
    session: Session,
    job: ClaimedJob,
    *,
    stage: Stage,
    queue: QueueName,
    source_key: str,
    source_sha256: str,
    found: dict[str, Any],
    progress: int,
) -> bool:
    """End the claim and queue the next stage. False: the claim was lost."""
    return bool(_ADVANCE.run(session, job.id, job.fence, stage, queue, source_key, source_sha256, found, progress))


def retry(
    session: Session,
    job: ClaimedJob,
    delay: float,
    error: dict[str, Any],
    *,
    counted: bool = True,
    traceback: str | None = None,
) -> bool:
    """End the claim and run the stage again after ``delay`` seconds; as if not tried, unless ``counted``.

    False: the claim was lost.
    """
    return _ended(session, _RETRY.run(session, job.id, job.fence, delay, error, counted, traceback))


def wait(session: Session, job: ClaimedJob, key: str) -> bool:
    """Give the claim back until nobody makes the rendition ``key`` any more. False: the claim was lost."""
    if not _WAIT.run(session, job.id, job.fence, key, LONGEST_WAIT):
        return False
    if not reservations.is_held(session, key, by_other_than=job.id):
        reservations.wake(session, [key])
    return True


def complete(
    session: Session, job: ClaimedJob, *, found: dict[str, Any], sha256: str, made: Sequence[dict[str, Any]]
) -> list[str] | None:
    """Job, renditions, outputs, event and delivery in one statement.

    A row of ``made`` that is ``cached`` links the rendition ``id``, which the session has locked. Returns the storage
    keys that the other renditions have now (another job may have made one first), or None if the claim was lost: then
    nothing was written.
    """
    rows = COMPLETE.run(
        session,
        *(
            job.id,
            job.fence,
            new_id(),
            EventType.JOB_COMPLETED,
            new_id(),
            found,
            sha256,
            json.dumps(list(made)),
        ),
    )
    return list(rows[0]["kept"] or []) if _ended(session, rows) else None


def fail(session: Session, job_id: uuid.UUID, fence: int, error: dict[str, Any]) -> bool:
    """Terminal, with event and delivery. False: the claim was lost."""
    return _ended(session, FAIL.run(session, job_id, fence, new_id(), EventType.JOB_FAILED, new_id(), error))


def cancel(session: Session, job_id: uuid.UUID, project: str) -> CancelOutcome:
    """Terminal, with event and delivery, whoever works on it. Asked twice, or too late, it changes nothing."""
    if _ended(session, CANCEL.run(session, job_id, project, new_id(), EventType.JOB_CANCELED, new_id())):
        return CancelOutcome.CANCELED
    # In a statement of its own: the one before may have waited for the worker that finished the job.
    rows = _STATUS.run(session, job_id, project)
    if not rows:
        return CancelOutcome.NOT_FOUND
    return CancelOutcome.ALREADY_CANCELED if rows[0]["status"] == JobStatus.CANCELED else CancelOutcome.FINISHED


def _ended(session: Session, rows: list[dict[str, Any]]) -> bool:
    """Did the statement end the claim? Then those are due who waited for what the job had reserved."""
    if rows:
        reservations.wake(session, rows[0]["released"] or [])
    return bool(rows)
