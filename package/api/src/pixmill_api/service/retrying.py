"""Retry: a job that did not come to its end is done again, as another job."""

import uuid
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict, NotFound
from pixmill_api.service import quota
from pixmill_api.service.generating import refuse_if_off
from pixmill_api.service.job_documents import found_job, shown_job
from pixmill_shared.domain.jobs import JobKind, JobStatus
from pixmill_shared.service.repeating import repeat_job

RETRIED: Final = (JobStatus.FAILED, JobStatus.CANCELED)


def retry_job(
    context: Context, session: Session, caller: Caller, job_id: uuid.UUID, *, request_id: str
) -> dict[str, Any]:
    """The new job. Raises NotFound, QueueFull, QuotaExceeded, NotOffered, and Conflict if the old one was neither
    canceled nor has failed.
    """
    origin = found_job(session, caller, job_id)
    if origin.status not in RETRIED:
        raise Conflict(f"The job is {origin.status}. A job that has failed or was canceled can be made again.")
    if origin.kind == JobKind.GENERATE:
        refuse_if_off(context)
    quota.admit_again(context, session, caller, origin.api_key_id)
    context.backlog.admit(session)
    repeated = repeat_job(session, origin.id, request_id=request_id)
    if repeated is None:
        raise NotFound("There is no such job any more.")
    return shown_job(context, session, found_job(session, caller, repeated))
