"""A job comes into being: one INSERT in one transaction. Nothing is published here; the dispatcher sees the row."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import InvalidRequest
from pixmill_api.repositories import job_views
from pixmill_api.schemas import Options
from pixmill_api.service import quota
from pixmill_api.service.intake import StoredUpload
from pixmill_api.service.job_documents import job_document
from pixmill_api.service.presets import ResolvedRecipe
from pixmill_api.service.watermarks import uploads_named_by
from pixmill_shared.contract.queues import RENDER_QUEUES, QueueName
from pixmill_shared.database.models import Job, Upload
from pixmill_shared.domain.jobs import JobKind, JobStatus, Stage
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.egress.guard import forbidden_literal
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import jobs, uploads


@dataclass(frozen=True)
class Submission:
    """A checked request. The source is one of: a URL, an upload's id, the address of an object, or bytes that came with
    the request.
    """

    caller: Caller
    chosen: ResolvedRecipe
    options: Options
    request_id: str
    url: str | None = None
    upload_id: uuid.UUID | None = None
    key: str | None = None
    destination: str | None = None
    attached: StoredUpload | None = None


def submit(context: Context, session: Session, submission: Submission) -> dict[str, Any]:
    """The job's document. Raises QueueFull, QuotaExceeded, and InvalidRequest if an upload, the source or a
    watermark, is not the project's, or a time or a receiver is none that is taken.
    """
    check_run_at(submission.options.run_at, context.settings.max_delay)
    check_receiver(context, submission.options.webhook_url)
    quota.admit(session, submission.caller)
    context.backlog.admit(session)
    new = _new_job(session, submission)
    job_id = jobs.insert(session, new)
    uploads.note_use(session, job_id, uploads_named_by(submission.chosen.recipe))
    place = job_views.place(session, job_id)
    failpoint("submit.inserted", job_id)
    return job_document(_shown(job_id, new, place), [], place, context)


def record_upload(session: Session, caller: Caller, stored: StoredUpload) -> dict[str, Any]:
    """The row that makes the object usable, and its document."""
    uploads.add(session, stored.row(caller.project))
    return stored.document()


def check_run_at(run_at: datetime.datetime | None, most: int) -> None:
    """``most``: seconds that it may lie ahead. Raises InvalidRequest."""
    # By this process' clock, which is good enough for a bound; when the time has come is for the database's to say.
    latest = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=most)
    if run_at is not None and run_at > latest:
        raise InvalidRequest(
            [JsonError("/run_at", f"is after {latest:%Y-%m-%dT%H:%M:%SZ}, the latest time that is taken")]
        )


def check_receiver(context: Context, webhook_url: str | None) -> None:
    """A name is judged when it is resolved; an address that will never be connected to is refused at once.

    Raises InvalidRequest.
    """
    if webhook_url is not None and (forbidden := forbidden_literal(webhook_url, context.egress_allow)):
        raise InvalidRequest([JsonError("/webhook_url", forbidden)])


def _new_job(session: Session, submission: Submission) -> jobs.NewJob:
    options, project = submission.options, submission.caller.project
    upload = _upload(session, submission)
    return jobs.NewJob(
        project=project,
        stage=Stage.RENDER if upload else Stage.FETCH,
        queue=RENDER_QUEUES[options.priority] if upload else QueueName.FETCH,
        priority=options.priority.rank,
        source=_source(submission, upload),
        source_key=upload.key if upload else None,
        source_sha256=upload.sha256 if upload else None,
        recipe=submission.chosen.recipe.canonical(),
        preset=submission.chosen.preset,
        preset_version=submission.chosen.version,
        api_key_id=submission.caller.api_key_id,
        metadata=options.metadata or {},
        webhook_url=options.webhook_url,
        run_at=options.run_at,
        request_id=submission.request_id,
        destination=submission.destination,
    )


def _upload(session: Session, submission: Submission) -> Upload | None:
    project = submission.caller.project
    if submission.attached is not None:
        row = submission.attached.row(project)
        uploads.add(session, row)
        return row
    if submission.upload_id is None:
        return None
    found = uploads.find_for_job(session, project, submission.upload_id)
    if found is None:
        raise InvalidRequest([JsonError("/source/upload_id", "there is no such upload")])
    return found


def _source(submission: Submission, upload: Upload | None) -> dict[str, Any]:
    if upload is None:
        return {"key": submission.key} if submission.key else {"url": submission.url}
    return {"upload_id": str(upload.id), "bytes": upload.bytes, "sha256": upload.sha256}


def _shown(job_id: uuid.UUID, new: jobs.NewJob, place: job_views.Place | None) -> Job:
    """The row as it was just written, without reading it again."""
    return Job(
        id=job_id,
        kind=JobKind.PROCESS,
        status=JobStatus.QUEUED,
        stage=new.stage,
        priority=new.priority,
        progress=0,
        source=new.source,
        destination=new.destination,
        preset=new.preset,
        preset_version=new.preset_version,
        attempts=0,
        run_at=place.run_at if place else None,
        job_metadata=new.metadata,
        created_at=place.created_at if place else None,
    )
