"""How a stage of a job, or a task, that failed goes on: fail, or try again later. ``domain/retries.py`` decides."""

import random
import traceback
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.payloads import ChunkPayload, JobPayload, RequestPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.failures import error_document, storable
from pixmill_shared.domain.jobs import STAGE_TASKS
from pixmill_shared.domain.retries import Again, Fail, after_failure
from pixmill_shared.errors import OutageError, TransientError, WorkError
from pixmill_shared.repositories import chunks, dead_letters, jobs, task_requests
from pixmill_shared.settings.work import WorkSettings

_RNG: Final = random.SystemRandom()


class _Claimed(Protocol):
    """Work of any kind, by whoever has it; ``age`` as ``after_failure`` has it."""

    @property
    def project(self) -> str: ...

    @property
    def attempts(self) -> int: ...

    @property
    def age(self) -> float: ...


def record_failure(
    session: Session, job: jobs.ClaimedJob, task: TaskName, error: WorkError, *, settings: WorkSettings
) -> str:
    """End the claim. Returns what happened: ``retried``, ``failed``, or ``lost`` if someone else has the job now."""

    def fail(document: dict[str, Any]) -> bool:
        return jobs.fail(session, job.id, job.fence, document)

    payload = dict(JobPayload(job_id=str(job.id)))
    return _record(session, job, error, settings, task=task, payload=payload, retry=jobs.retry, fail=fail)


def record_chunk_failure(
    session: Session, chunk: chunks.ClaimedChunk, error: WorkError, *, settings: WorkSettings
) -> str:
    """The same of a part of a job that generates; the job fails with it."""

    def fail(document: dict[str, Any]) -> bool:
        if not chunks.hold(session, chunk) or not jobs.fail(session, chunk.job_id, 0, document):
            return False
        chunks.drop_all(session, chunk.job_id)
        chunks.drop(session, chunk.id)
        return True

    payload = dict(ChunkPayload(chunk_id=str(chunk.id))) | dict(JobPayload(job_id=str(chunk.job_id)))
    task = TaskName.GENERATE_CHUNK
    return _record(session, chunk, error, settings, task=task, payload=payload, retry=chunks.retry, fail=fail)


def record_task_failure(
    session: Session, claimed: task_requests.ClaimedRequest, error: WorkError, *, settings: WorkSettings
) -> str:
    """The same of a task that somebody asked for."""

    def fail(document: dict[str, Any]) -> bool:
        return task_requests.fail(session, claimed.id, claimed.fence, document)

    payload = dict(RequestPayload(task_request_id=str(claimed.id)))
    task = TaskName(claimed.task)
    return _record(session, claimed, error, settings, task=task, payload=payload, retry=task_requests.retry, fail=fail)


def record_time_limit(session: Session, job_id: uuid.UUID, holder: str, *, settings: WorkSettings) -> str:
    """Of a job whose process was killed at its hard limit, by the worker that had claimed it as ``holder``.

    The process did not heed the soft limit, so it hung, perhaps in this process only: tried again as what is transient.
    """
    held = jobs.held_by(session, job_id, holder)
    if held is None:
        return "lost"
    stage, job = held
    error = TransientError(ErrorCode.TIME_LIMIT, "The work was still going on at its time limit and was ended.")
    return record_failure(session, job, STAGE_TASKS[stage], error, settings=settings)


def _record(
    session: Session,
    claimed: _Claimed,
    error: WorkError,
    settings: WorkSettings,
    *,
    task: TaskName,
    payload: dict[str, Any],
    retry: Callable[..., bool],
    fail: Callable[[dict[str, Any]], bool],
) -> str:
    """``retry`` and ``fail`` end the claim, and say whether it was there still."""
    document = error_document(error.code, error.detail)
    verdict = _verdict(error, claimed.attempts, claimed.age, settings)
    told = _traceback_of(error)
    if isinstance(verdict, Again):
        again = retry(session, claimed, verdict.delay, document, counted=verdict.counted, traceback=told)
        return "retried" if again else "lost"
    if not fail(document):
        return "lost"
    if verdict.buried:
        dead_letters.bury(
            session,
            project=claimed.project,
            task=task,
            payload=payload,
            error=document,
            attempts=claimed.attempts,
            traceback=told,
        )
    return "failed"


def _verdict(error: WorkError, attempts: int, age: float, settings: WorkSettings) -> Again | Fail:
    return after_failure(
        transient=isinstance(error, TransientError),
        attempts=attempts,
        max_attempts=settings.max_attempts,
        retry_after=error.retry_after if isinstance(error, TransientError) else None,
        rng=_RNG,
        outage=isinstance(error, OutageError),
        age=age,
        patience=settings.outage_patience,
    )


def _traceback_of(error: WorkError) -> str | None:
    """None for what was not raised but seen from outside."""
    if error.__traceback__ is None and error.__cause__ is None:
        return None
    return storable("".join(traceback.format_exception(error)))
