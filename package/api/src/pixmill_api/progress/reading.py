"""What the hub reads from rows, many at once: in a thread of its own, in one short transaction a pass."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_api.auth import Context
from pixmill_api.progress.event import as_json
from pixmill_api.progress.states import BatchState, JobLook, JobState
from pixmill_api.repositories import job_views, watching
from pixmill_api.service.batch_documents import shown_batch
from pixmill_api.service.job_documents import job_document
from pixmill_shared.database.models import Batch, Job
from pixmill_shared.domain.jobs import JobStatus
from pixmill_shared.domain.moments import utc


@dataclass(frozen=True)
class Wanted:
    """Ids of jobs to be read as a whole and to be looked at, of batches, and of jobs whose events are wanted."""

    jobs: Sequence[str] = ()
    looks: Sequence[str] = ()
    batches: Sequence[str] = ()
    events_of: Sequence[str] = ()
    #: All events after this id.
    events_since: uuid.UUID | None = None


@dataclass(frozen=True)
class Found:
    """By id; what is missing is not there. ``events`` oldest first."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    looks: dict[str, JobLook] = field(default_factory=dict)
    batches: dict[str, BatchState] = field(default_factory=dict)
    events: list[watching.EventRow] = field(default_factory=list)


class Reader:
    """Documents in streams name their own stream without a signature: who watches by a link gets no other."""

    def __init__(self, context: Context) -> None:
        self._context = replace(context, links=context.links.unsigned())

    def read(self, wanted: Wanted) -> Found:
        """Raises the database's errors."""
        with self._context.runtime.database.session_scope() as session:
            return Found(
                jobs=self._jobs(session, wanted.jobs) if wanted.jobs else {},
                looks={row.pop("id"): JobLook(**row) for row in watching.looks(session, wanted.looks)}
                if wanted.looks
                else {},
                batches=self._batches(session, wanted.batches) if wanted.batches else {},
                events=_events(session, wanted),
            )

    def replay(self, project: str, after: uuid.UUID, most: int) -> tuple[list[watching.EventRow], bool]:
        """As ``repositories.watching``."""
        with self._context.runtime.database.session_scope() as session:
            return watching.replay(session, project, after, most)

    def _jobs(self, session: Session, ids: Sequence[str]) -> dict[str, JobState]:
        rows = session.scalars(select(Job).where(Job.id.in_([uuid.UUID(id) for id in ids]))).all()
        made = [job.id for job in rows if job.status == JobStatus.COMPLETED]
        outputs = job_views.outputs_of_all(session, made) if made else {}
        return {str(job.id): self._job(session, job, outputs.get(job.id, [])) for job in rows}

    def _job(self, session: Session, job: Job, outputs: Any) -> JobState:
        place = job_views.place(session, job.id) if job.status == JobStatus.QUEUED else None
        document = job_document(job, outputs, place, self._context)
        look = JobLook(job.project, job.status, job.stage, job.progress, job.sequence)
        return JobState(look, as_json(document), tuple(as_json(output) for output in document["outputs"]))

    def _batches(self, session: Session, ids: Sequence[str]) -> dict[str, BatchState]:
        rows = session.scalars(select(Batch).where(Batch.id.in_([uuid.UUID(id) for id in ids])))
        return {str(batch.id): self._batch(session, batch) for batch in rows}

    def _batch(self, session: Session, batch: Batch) -> BatchState:
        document = shown_batch(self._context, session, batch)
        counts = {name: document[name] for name in ("batch_id", "status", "total", "counts", "progress")}
        done = batch.completed + batch.failed + batch.canceled
        ended = batch.finished_at is not None
        return BatchState(batch.project, batch.status, done, as_json(counts), as_json(document), ended)


def _events(session: Session, wanted: Wanted) -> list[watching.EventRow]:
    found: dict[str, watching.EventRow] = {}
    if wanted.events_since is not None:
        found = {row.id: row for row in watching.events_since(session, wanted.events_since)}
    if wanted.events_of:
        found |= {row.id: row for row in watching.events_of(session, wanted.events_of)}
    return sorted(found.values())


def event_document(row: watching.EventRow) -> dict[str, Any]:
    """``data`` of an event in the stream of a project."""
    return {
        "job_id": row.job_id,
        "batch_id": row.batch_id,
        "status": row.status,
        "sequence": row.sequence,
        "error": row.error if row.status == JobStatus.FAILED else None,
        "metadata": row.metadata,
        "at": utc(row.at),
    }
