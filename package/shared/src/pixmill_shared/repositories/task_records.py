"""How tasks ended that have no row of their own: the last 1,000 successes, and the last 1,000 failures.

Those that have one need no record: jobs, deliveries, messages and tasks that somebody asked for. Written with prepared
SQL; SQLAlchemy for who looks.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import TaskRecord
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id

KEPT: Final = 1_000
"""Of each state: a heartbeat every 10 s would have driven out a failure of this morning."""

# The oldest of those that are kept is found by counting in an index; usually one row goes for each that comes.
_KEEP: Final = Prepared(
    f"""
    WITH oldest AS (
      SELECT id FROM task_records WHERE state = $7 ORDER BY id DESC OFFSET {KEPT - 1} LIMIT 1
    ), old AS (
      SELECT r.id FROM task_records r, oldest WHERE r.state = $7 AND r.id <= oldest.id
      ORDER BY r.id LIMIT 100 FOR UPDATE OF r SKIP LOCKED
    ), gone AS (
      DELETE FROM task_records WHERE id IN (SELECT id FROM old)
    )
    INSERT INTO task_records (id, task_id, task, entry, queue, worker, state, attempts, result, error,
                              started_at, finished_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
            clock_timestamp() - make_interval(secs => $11), clock_timestamp())
    """,
    *("uuid", "uuid", "text", "text", "text", "text", "text", "integer", "jsonb", "jsonb", "double precision"),
)


@dataclass(frozen=True)
class TaskRun:
    """Which run of which task; ``entry`` of the schedule, if beat sent it."""

    task_id: uuid.UUID
    task: str
    entry: str | None = None
    queue: str | None = None
    worker: str = ""


def keep(
    session: Session,
    run: TaskRun,
    *,
    attempts: int,
    seconds: float,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    """It has ended just now, after so many seconds; with an ``error`` it has failed."""
    state = "failed" if error else "succeeded"
    what = (run.task_id, run.task, run.entry, run.queue, run.worker)
    _KEEP.run(session, new_id(), *what, state, attempts, result, error, seconds)


def find(session: Session, task_id: uuid.UUID) -> TaskRecord | None:
    """By Celery's id; the last run, if it ran more than once."""
    query = select(TaskRecord).where(TaskRecord.task_id == task_id).order_by(TaskRecord.id.desc()).limit(1)
    return session.scalar(query)


def page(session: Session, *, limit: int, before: uuid.UUID | None, state: str | None) -> Sequence[TaskRecord]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(TaskRecord)
    if before is not None:
        query = query.where(TaskRecord.id < before)
    if state is not None:
        query = query.where(TaskRecord.state == state)
    return session.scalars(query.order_by(TaskRecord.id.desc()).limit(limit + 1)).all()
