"""A job as clients see it. Keys of the storage and the rows' inner state are not shown."""

import datetime
import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import NotFound
from pixmill_api.repositories import job_views
from pixmill_api.service.pages import page_of
from pixmill_shared.contract.queues import Priority
from pixmill_shared.database.models import Job, Output, Rendition
from pixmill_shared.domain.jobs import TERMINAL, JobStatus
from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories import results
from pixmill_shared.service.outputs import describe_outputs, filename


def find_job(context: Context, caller: Caller, job_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's job too."""
    with context.runtime.database.session_scope() as session:
        return shown_job(context, session, found_job(session, caller, job_id))


def found_job(session: Session, caller: Caller, job_id: uuid.UUID) -> Job:
    """Raises NotFound, for another project's job too."""
    job = results.find_job(session, job_id, caller.project)
    if job is None:
        raise NotFound("There is no such job.")
    return job


def shown_job(context: Context, session: Session, job: Job) -> dict[str, Any]:
    """The document of one job, with all that is read for it."""
    outputs = results.outputs_of(session, job.id) if job.status == JobStatus.COMPLETED else []
    place = job_views.place(session, job.id) if job.status == JobStatus.QUEUED else None
    return job_document(job, outputs, place, context)


def list_jobs(context: Context, which: job_views.WhichJobs, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first, without queue positions: they cost a look-up each."""
    with context.runtime.database.session_scope() as session:
        rows = job_views.page(session, which, limit=limit, before=before)
        shown, more = rows[:limit], len(rows) > limit
        outputs = job_views.outputs_of_all(session, [job.id for job in shown])
        data = [job_document(job, outputs.get(job.id, []), None, context) for job in shown]
    return page_of(data, shown, more=more)


def find_output(context: Context, caller: Caller, job_id: uuid.UUID, name: str) -> tuple[Rendition, str]:
    """The rendition behind a job's output, and the name to save it as. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        if results.find_job(session, job_id, caller.project) is not None:
            for output, rendition in results.outputs_of(session, job_id):
                if output.name == name:
                    return rendition, filename(output, rendition)
    raise NotFound("There is no such output.")


def url_expiry(context: Context) -> datetime.datetime:
    """When links that are made now end."""
    now = datetime.datetime.now(datetime.UTC)
    return now + datetime.timedelta(seconds=context.runtime.storage_settings.url_ttl)


def job_document(
    job: Job, rows: Iterable[Row[Output, Rendition]], place: job_views.Place | None, context: Context
) -> dict[str, Any]:
    """``rows`` in the recipe's order; ``place`` for a job that waits."""
    outputs = describe_outputs(rows, context.runtime.store, url_expiry(context))
    url = f"{context.public_url}/api/v1/jobs/{job.id}"
    return {
        "job_id": str(job.id),
        "status": job.status,
        "stage": job.stage,
        "priority": Priority.of_rank(job.priority),
        "progress": job.progress,
        "source": job.source,
        "destination": job.destination,
        "preset": {"name": job.preset, "version": job.preset_version} if job.preset else None,
        "outputs": outputs,
        "result": outputs[0] if outputs else None,
        # Between two tries the row holds the last error; the job has not failed.
        "error": job.error if job.status == JobStatus.FAILED else None,
        "attempts": job.attempts,
        "queue_position": place.position if place else None,
        "batch_id": str(job.batch_id) if job.batch_id else None,
        "batch_index": job.batch_index,
        "pipeline_id": str(job.pipeline_id) if job.pipeline_id else None,
        "retry_of": str(job.retry_of) if job.retry_of else None,
        "metadata": job.job_metadata,
        # A job that waits for another one's rendition has a time too, but may be due any moment.
        "run_at": utc(job.run_at) if job.status == JobStatus.QUEUED and not job.waits_for else None,
        "created_at": utc(job.created_at),
        "started_at": utc(job.started_at),
        "finished_at": utc(job.finished_at),
        "urls": {
            "self": url,
            "events": context.links.url(url),
            "cancel": f"{url}/cancel" if job.status not in TERMINAL else None,
        },
    }
