"""Cancel: the wish of a person, so it may come twice and too late."""

import uuid
from typing import Any

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict
from pixmill_api.service.job_documents import found_job, shown_job
from pixmill_shared.domain.jobs import CancelOutcome
from pixmill_shared.repositories import chunks, jobs


def cancel_job(context: Context, caller: Caller, job_id: uuid.UUID) -> dict[str, Any]:
    """The canceled job. Raises NotFound, and Conflict if the job has ended otherwise."""
    with context.runtime.database.session_scope() as session:
        outcome = jobs.cancel(session, job_id, caller.project)
        if outcome is CancelOutcome.CANCELED:
            chunks.drop_all(session, job_id)
        job = found_job(session, caller, job_id)
        if outcome is CancelOutcome.FINISHED:
            raise Conflict(f"The job has {job.status} already, and stays so.")
        return shown_job(context, session, job)
