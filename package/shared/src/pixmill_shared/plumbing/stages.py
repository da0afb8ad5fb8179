"""One stage of a job in a worker: claim, run the body, record how it ended."""

import uuid
from collections.abc import Callable

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.errors import PermanentError, TransientError, WorkError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.failures import record_failure

log = get_logger(__name__)

Body = Callable[[jobs.ClaimedJob], None]


def run_stage(runtime: Runtime, job_id: str, stage: Stage, task: TaskName, lease: float, body: Body) -> None:
    """``body`` ends the claim itself when it succeeds; what it raises is recorded here.

    ``lease`` (seconds) must be longer than the body can take. Returns silently if the job is not to be had.
    A database that went away is not recorded anywhere: the lease runs out, and the stage runs again.
    """
    with runtime.database.session_scope() as session:
        job = jobs.claim(session, uuid.UUID(job_id), stage, runtime.worker_name, lease)
    if job is None:
        return
    failpoint("claim.committed", job.id)
    structlog.contextvars.bind_contextvars(job_id=job_id, attempt=job.attempts, request_id=job.request_id)
    failure = _failure_of(job, body)
    if failure is None:
        return
    with runtime.database.session_scope() as session:
        outcome = record_failure(session, job, task, failure, max_attempts=runtime.work.max_attempts)
    log.warning("stage failed", stage=stage, code=failure.code, detail=failure.detail, outcome=outcome)


def _failure_of(job: jobs.ClaimedJob, body: Body) -> WorkError | None:
    try:
        body(job)
    except WorkError as error:
        return error
    except SoftTimeLimitExceeded:
        return PermanentError(ErrorCode.TIME_LIMIT, "The work was stopped at its time limit.")
    except MemoryError:
        return PermanentError(ErrorCode.MEMORY_LIMIT, "The work needed more memory than a process may use here.")
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # A defect of ours: with a traceback in the log and in the dead letter, and never a job that hangs.
        log.exception("unexpected error in a stage")
        unexpected = TransientError(ErrorCode.ATTEMPTS_EXHAUSTED, "An unexpected error stopped the work.")
        unexpected.__cause__ = error
        return unexpected
    return None
