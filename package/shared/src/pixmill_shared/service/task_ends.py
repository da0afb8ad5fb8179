"""How a task ended that has no row of its own: its record, its tick, and a dead letter if it has failed, at once."""

import datetime
import traceback
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.failures import error_document, storable
from pixmill_shared.errors import TransientError, WorkError
from pixmill_shared.repositories import beat_runs, dead_letters, task_records
from pixmill_shared.repositories.task_records import TaskRun

LONGEST_ERROR = 1_000
"""Characters of what a tick says of its error."""


@dataclass(frozen=True)
class TaskEnd:
    """``raised``: what it raised in its last try, and ``failure`` the same as pixmill sees it; None: it is done."""

    run: TaskRun
    scheduled_at: datetime.datetime | None
    attempts: int
    seconds: float
    result: dict[str, Any] | None = None
    failure: WorkError | None = None
    raised: Exception | None = None


@dataclass(frozen=True)
class TaskLoss:
    """A run whose process was killed, seen from outside; ``limit``: for it took too long."""

    run: TaskRun
    scheduled_at: datetime.datetime | None
    seconds: float
    limit: bool


def record_end(session: Session, end: TaskEnd) -> None:
    """Does nothing for a tick whose end was written down before."""
    error = None if end.failure is None else _document(end.failure, end.raised)
    if end.scheduled_at is not None and end.run.entry is not None:
        told = None if end.failure is None else _told(end.raised or end.failure)
        if not beat_runs.finish(session, end.run.entry, end.scheduled_at, end.result, told):
            return
    task_records.keep(session, end.run, attempts=end.attempts, seconds=end.seconds, result=end.result, error=error)
    if error is not None:
        dead_letters.bury_run(
            session,
            task=end.run.task,
            payload={"entry": end.run.entry} if end.run.entry else {"task_id": str(end.run.task_id)},
            error=error,
            attempts=end.attempts,
            traceback=None if end.raised is None else storable("".join(traceback.format_exception(end.raised))),
        )


def record_loss(session: Session, loss: TaskLoss) -> None:
    """The same for one whose process could not say it."""
    if loss.limit:
        failure = TransientError(ErrorCode.TIME_LIMIT, "It was still going on at its time limit and was ended.")
    else:
        failure = TransientError(ErrorCode.ATTEMPTS_EXHAUSTED, "Its process died.")
    record_end(session, TaskEnd(loss.run, loss.scheduled_at, attempts=1, seconds=loss.seconds, failure=failure))


def _document(failure: WorkError, raised: Exception | None) -> dict[str, Any]:
    return error_document(failure.code, failure.detail if _is_own(raised) else f"It raised {type(raised).__name__}.")


def _told(error: Exception) -> str:
    name = type(error).__name__
    return storable(f"{name}: {error}")[:LONGEST_ERROR] if _is_own(error) else name


def _is_own(error: Exception | None) -> bool:
    """Of a defect, and of a database that is away, only the name is told: messages of libraries may hold addresses."""
    return error is None or isinstance(error, WorkError)
