"""One stage of a job in a worker: claim, run the body, record how it ended."""

import time
import uuid
from collections.abc import Callable

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import DatabaseUnavailable
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.errors import ClaimLost, PermanentError, TransientError, WorkError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.claims import Check, ClaimCheck
from pixmill_shared.service.failures import record_failure

log = get_logger(__name__)

Body = Callable[[jobs.ClaimedJob, Check], None]


def run_stage(runtime: Runtime, job_id: str, stage: Stage, task: TaskName, body: Body) -> None:
    """``body`` ends the claim itself when it succeeds; what it raises is recorded here. It calls the check between its
    steps, and removes what it stored when that raises.

    Returns silently if the job is not to be had, or not any more. Raises DatabaseUnavailable, which cannot be recorded:
    whoever keeps the lease hands the claim back, or it runs out, and the stage runs again.
    """
    with runtime.database.session_scope() as session:
        job = jobs.claim(session, uuid.UUID(job_id), stage, runtime.worker_name, runtime.work.lease)
    if job is None:
        return
    failpoint(f"{stage}.claimed", job.id)
    structlog.contextvars.bind_contextvars(job_id=job_id, attempt=job.attempts, request_id=job.request_id)

    def work() -> None:
        started = time.monotonic()
        body(
            job,
            ClaimCheck(f"job {job.id}", runtime.database, lambda session: jobs.is_claimed(session, job.id, job.fence)),
        )
        log.info("stage done", stage=stage, ms=round((time.monotonic() - started) * 1000))

    failure = failure_of(work)
    if failure is None:
        return
    with runtime.database.session_scope() as session:
        outcome = record_failure(session, job, task, failure, settings=runtime.work)
    log.warning("stage failed", stage=stage, code=failure.code, detail=failure.detail, outcome=outcome)


def failure_of(work: Callable[[], object]) -> WorkError | None:
    """How claimed work ended; None: well, or its claim was lost. Raises DatabaseUnavailable."""
    try:
        work()
    except ClaimLost:
        log.info("claim lost, stopped")
    except WorkError as error:
        return error
    except SoftTimeLimitExceeded:
        return PermanentError(ErrorCode.TIME_LIMIT, "The work was stopped at its time limit.")
    except MemoryError:
        return PermanentError(ErrorCode.MEMORY_LIMIT, "The work needed more memory than a process may use here.")
    except DatabaseUnavailable:
        raise
    except Exception as error:
        # A defect of ours: with a traceback in the log and in the dead letter, and never a job that hangs.
        log.exception("unexpected error")
        unexpected = TransientError(ErrorCode.INTERNAL_ERROR, "An unexpected error stopped the work.")
        unexpected.__cause__ = error
        return unexpected
    return None
