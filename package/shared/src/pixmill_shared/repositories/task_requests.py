"""Tasks that people asked for: rows that are dispatched and claimed as all work. Claim and ends are prepared SQL."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import Priority, QueueName
from pixmill_shared.contract.requests import Requestable
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.models import TaskRequest
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import lanes
from pixmill_shared.repositories.work import WAKE_CHANNEL, WorkTable

WORK: Final = WorkTable("task_requests", owner="w.project", stage="w.task")


@dataclass(frozen=True)
class ClaimedRequest:
    """``age``: seconds since it was first claimed."""

    id: uuid.UUID
    fence: int
    attempts: int
    project: str
    task: str
    payload: dict[str, Any]
    request_id: str | None
    age: float


# Where jobs are in the queue too, a turn is one of theirs; elsewhere it is a moment: first come, first served.
_TURN: Final = f"""CASE WHEN {{queue}} = '{QueueName.FETCH}' THEN {{reached}} + 1
                     ELSE (extract(epoch FROM now()) * 1000000)::bigint END"""

_INSERT = Prepared(
    f"""
    WITH made AS (
      INSERT INTO task_requests (id, project, queue, priority, task, payload, requested_by, request_id, turn)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {_TURN.format(queue="$3", reached=lanes.reached("$3", "$4"))})
      RETURNING id
    )
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM made
    """,
    *("uuid", "text", "text", "smallint", "text", "jsonb", "text", "text"),
)

_REPEAT = Prepared(
    f"""
    WITH made AS (
      INSERT INTO task_requests (id, project, queue, priority, task, payload, requested_by, request_id, turn)
      SELECT $2, r.project, r.queue, r.priority, r.task, r.payload, $3, $4,
             {_TURN.format(queue="r.queue", reached=lanes.reached("r.queue", "r.priority"))}
      FROM task_requests r WHERE r.id = $1 RETURNING id
    )
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM made
    """,
    *("uuid", "uuid", "text", "text"),
)

_CLAIM = Prepared(
    """
    UPDATE task_requests
    SET status = 'processing', fence = fence + 1, attempts = attempts + 1, claimed_by = $2,
        lease_until = clock_timestamp() + make_interval(secs => $3),
        started_at = coalesce(started_at, clock_timestamp()), dispatched_at = NULL, dispatches = 0
    WHERE id = $1 AND status = 'queued' AND run_at IS NULL
    RETURNING id, fence, attempts, project, task, payload, request_id,
              extract(epoch FROM clock_timestamp() - started_at)::double precision AS age
    """,
    *("uuid", "text", "double precision"),
)

_END = Prepared(
    """
    UPDATE task_requests
    SET status = $3, result = $4, error = $5, traceback = NULL, lease_until = NULL, claimed_by = NULL,
        finished_at = clock_timestamp()
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    """,
    *("uuid", "bigint", "text", "jsonb", "jsonb"),
)

_RETRY = Prepared(
    """
    UPDATE task_requests
    SET status = 'queued', error = $3, traceback = $6, lease_until = NULL, claimed_by = NULL,
        run_at = clock_timestamp() + make_interval(secs => $4),
        attempts = CASE WHEN $5 THEN attempts ELSE greatest(attempts - 1, 0) END
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    """,
    *("uuid", "bigint", "jsonb", "double precision", "boolean", "text"),
)

_PUT_OFF = Prepared(
    """
    UPDATE task_requests
    SET dispatched_at = NULL, dispatches = 0, run_at = clock_timestamp() + make_interval(secs => $2)
    WHERE id = $1 AND status = 'queued'
    """,
    *("uuid", "double precision"),
)


# Under the lock of a batch: two at once would both find none.
_LOCK_BATCH = Prepared(
    "SELECT pg_advisory_xact_lock(hashtext('pixmill archive'), hashtext($1))",
    "text",
)

_FIND_ARCHIVE = Prepared(
    f"""
    SELECT id FROM task_requests w
    WHERE payload ->> 'batch_id' = $1 AND (payload ->> 'batch_id') IS NOT NULL AND project = $2
      AND task = '{TaskName.BUILD_ZIP}' AND ($3 IS NULL OR payload ->> 'state' = $3)
      AND NOT ($4 IS NOT NULL AND (
        status = 'failed' OR status = 'completed' AND (
          result ->> 'key' IS NULL OR finished_at < clock_timestamp() - make_interval(secs => $4))))
    ORDER BY id DESC LIMIT 1
    """,
    *("text", "text", "text", "double precision"),
)

# The object goes after the commit: until then somebody may be told its address.
_EXPIRE_ARCHIVES = Prepared(
    """
    WITH old AS MATERIALIZED (
      SELECT id, result ->> 'key' AS key FROM task_requests
      WHERE (result ->> 'key') IS NOT NULL AND finished_at < clock_timestamp() - make_interval(secs => $1)
      ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    UPDATE task_requests w SET result = w.result - 'key' FROM old WHERE w.id = old.id RETURNING old.key
    """,
    *("double precision", "bigint"),
)


def insert(
    session: Session,
    what: Requestable,
    arguments: dict[str, Any],
    *,
    project: str,
    priority: Priority,
    requested_by: str,
    request_id: str | None = None,
) -> uuid.UUID:
    """``arguments`` have been checked. The dispatcher is told when the transaction commits."""
    made = new_id()
    where = (project, what.queue(priority), priority.rank)
    _INSERT.run(session, made, *where, what.task.value, arguments, requested_by, request_id)
    return made


def repeat(session: Session, origin: uuid.UUID, *, requested_by: str, request_id: str | None) -> uuid.UUID | None:
    """The same once more; None if it is there no longer."""
    made = new_id()
    return made if _REPEAT.run(session, origin, made, requested_by, request_id) else None


def claim(session: Session, request_id: uuid.UUID, worker: str, lease: float) -> ClaimedRequest | None:
    """Compare-and-set. None: someone else has it, it has ended, or it is not due; return silently."""
    rows = _CLAIM.run(session, request_id, worker, lease)
    return ClaimedRequest(**rows[0]) if rows else None


def finish(session: Session, claimed: ClaimedRequest, result: dict[str, Any] | None) -> bool:
    """It has done what it was to do. False: the claim was lost."""
    return bool(_END.run(session, claimed.id, claimed.fence, "completed", result, None))


def retry(
    session: Session,
    claimed: ClaimedRequest,
    delay: float,
    error: dict[str, Any],
    *,
    counted: bool = True,
    traceback: str | None = None,
) -> bool:
    """Another try after ``delay`` seconds. False: the claim was lost."""
    return bool(_RETRY.run(session, claimed.id, claimed.fence, error, delay, counted, traceback))


def fail(session: Session, row_id: uuid.UUID, fence: int, error: dict[str, Any]) -> bool:
    """No further try. False: the claim was lost."""
    return bool(_END.run(session, row_id, fence, "failed", None, error))


def put_off(session: Session, row_id: uuid.UUID, seconds: float) -> None:
    """Its message came when it could not be done, and it was not claimed: it waits as a row."""
    _PUT_OFF.run(session, row_id, seconds)


def lock_batch(session: Session, batch_id: uuid.UUID) -> None:
    """Until the transaction ends nobody else asks for an archive of the batch."""
    _LOCK_BATCH.run(session, str(batch_id))


def find_archive(
    session: Session,
    batch_id: uuid.UUID,
    project: str,
    *,
    state: str | None = None,
    usable_for: float | None = None,
) -> TaskRequest | None:
    """The last request for an archive of the batch; of that ``state`` of its contents, if given.

    ``usable_for``: the seconds that archives are kept: only what is being built, or is there still.
    """
    rows = _FIND_ARCHIVE.run(session, str(batch_id), project, state, usable_for)
    return session.get_one(TaskRequest, rows[0]["id"]) if rows else None


def expire_archives(session: Session, older_than: float, limit: int) -> list[str]:
    """Forget the objects of archives that were built more than ``older_than`` seconds ago, and return their names."""
    return [row["key"] for row in _EXPIRE_ARCHIVES.run(session, older_than, limit)]


def find(session: Session, row_id: uuid.UUID) -> TaskRequest | None:
    """SQLAlchemy, as ``page``."""
    return session.get(TaskRequest, row_id)


def page(
    session: Session, *, limit: int, before: uuid.UUID | None, status: str | None, project: str | None = None
) -> Sequence[TaskRequest]:
    """Newest first, one more than ``limit`` if there are more; ``project`` None: of all of them."""
    query = select(TaskRequest)
    if project is not None:
        query = query.where(TaskRequest.project == project)
    if before is not None:
        query = query.where(TaskRequest.id < before)
    if status is not None:
        query = query.where(TaskRequest.status == status)
    return session.scalars(query.order_by(TaskRequest.id.desc()).limit(limit + 1)).all()
