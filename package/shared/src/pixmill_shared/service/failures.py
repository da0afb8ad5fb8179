"""How a stage of a job that raised goes on: fail, or try again later."""

import random
import traceback

from sqlalchemy.orm import Session

from pixmill_shared.contract.payloads import JobPayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.backoff import exponential
from pixmill_shared.domain.failures import error_document, storable
from pixmill_shared.errors import TransientError, WorkError
from pixmill_shared.repositories import dead_letters, jobs

_RNG = random.SystemRandom()


def record_failure(
    session: Session, job: jobs.ClaimedJob, task: TaskName, error: WorkError, *, max_attempts: int
) -> str:
    """End the claim. Returns what happened: ``retried``, ``failed``, or ``lost`` if someone else has the job now.

    A permanent error fails at once. A transient one is tried again with backoff; used up, the job fails with the
    last error's own code and leaves a dead letter.
    """
    document = error_document(error.code, error.detail)
    if isinstance(error, TransientError) and job.attempts < max_attempts:
        delay = exponential(job.attempts, error.retry_after, _RNG)
        return "retried" if jobs.retry(session, job, delay, document) else "lost"
    if not jobs.fail(session, job.id, job.fence, document):
        return "lost"
    if isinstance(error, TransientError):
        dead_letters.bury(
            session,
            project=job.project,
            task=task,
            payload=dict(JobPayload(job_id=str(job.id))),
            error=document,
            attempts=job.attempts,
            traceback=storable("".join(traceback.format_exception(error))),
        )
    return "failed"
