"""A job as clients see it. Keys of the storage and the rows' inner state are not shown."""

import datetime
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.documents import is_storable
from pixmill_api.errors import NotFound
from pixmill_api.repositories import job_views
from pixmill_api.service.generation_counts import generation_document, pace_of, typical
from pixmill_api.service.pages import page_of
from pixmill_shared.contract.queues import Priority
from pixmill_shared.database.models import Job, Output, Rendition
from pixmill_shared.domain.jobs import TERMINAL, JobKind, JobStatus
from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories import generations, results
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
    [found] = shown_jobs(context, session, [job])
    return found


def shown_jobs(context: Context, session: Session, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """As ``shown_job``, of several."""
    outputs = _outputs(session, jobs, job_views.MOST_SHOWN)
    places = {job.id: job_views.place(session, job.id) for job in jobs if job.status == JobStatus.QUEUED}
    generated = generation_documents_of(context, session, jobs)
    return [
        job_document(job, outputs.get(job.id, []), places.get(job.id), context, generated.get(job.id)) for job in jobs
    ]


def generation_documents_of(context: Context, session: Session, jobs: Sequence[Job]) -> dict[uuid.UUID, dict[str, Any]]:
    """By job, of those that generate."""
    ids = [job.id for job in jobs if job.kind == JobKind.GENERATE]
    found = generations.find_all(session, ids) if ids else {}
    seconds = typical(session, jobs, found)
    pace = pace_of(context)
    return {job.id: generation_document(job, found[job.id], pace, seconds) for job in jobs if job.id in found}


def _outputs(session: Session, jobs: Sequence[Job], most: int) -> dict[uuid.UUID, list[Row[Output, Rendition]]]:
    """Of one that generates they are there before its end."""
    some = [job.id for job in jobs if job.status == JobStatus.COMPLETED or job.kind == JobKind.GENERATE]
    return job_views.outputs_of_all(session, some, most) if some else {}


def described_outputs(
    context: Context, session: Session, names: Mapping[uuid.UUID, Sequence[str]]
) -> dict[uuid.UUID, dict[str, dict[str, Any]]]:
    """Documents of some jobs' outputs, by job and name; those that are not there are missing."""
    some = {job: found for job, found in names.items() if found}
    rows = job_views.outputs_named(session, some) if some else {}
    until = url_expiry(context)
    return {
        job: {document["name"]: document for document in describe_outputs(found, context.runtime.store, until)}
        for job, found in rows.items()
    }


def list_jobs(context: Context, which: job_views.WhichJobs, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first, without queue positions: they cost a look-up each."""
    with context.runtime.database.session_scope() as session:
        rows = job_views.page(session, which, limit=limit, before=before)
        shown, more = rows[:limit], len(rows) > limit
        outputs = _outputs(session, shown, job_views.MOST_LISTED)
        generated = generation_documents_of(context, session, shown)
        data = [job_document(job, outputs.get(job.id, []), None, context, generated.get(job.id)) for job in shown]
    return page_of(data, shown, more=more)


def find_output(context: Context, caller: Caller, job_id: uuid.UUID, name: str) -> tuple[Rendition, str]:
    """The rendition behind a job's output, and the name to save it as. Raises NotFound."""
    if not is_storable(name):
        raise NotFound("There is no such output.")
    with context.runtime.database.session_scope() as session:
        if results.find_job(session, job_id, caller.project) is not None:
            for output, rendition in job_views.outputs_named(session, {job_id: [name]}).get(job_id, ()):
                return rendition, filename(output, rendition)
    raise NotFound("There is no such output.")


def url_expiry(context: Context) -> datetime.datetime:
    """When links that are made now end."""
    now = datetime.datetime.now(datetime.UTC)
    return now + datetime.timedelta(seconds=context.runtime.storage_settings.url_ttl)


def job_document(
    job: Job,
    rows: Iterable[Row[Output, Rendition]],
    place: job_views.Place | None,
    context: Context,
    generation: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """``rows`` in the recipe's order; ``place`` for a job that waits, ``generation`` for one that generates."""
    outputs = describe_outputs(rows, context.runtime.store, url_expiry(context))
    url = f"{context.public_url}/api/v1/jobs/{job.id}"
    return {
        "job_id": str(job.id),
        "kind": job.kind,
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
        "generation": generation,
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
