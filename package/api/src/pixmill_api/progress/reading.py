"""What the hub reads from rows, many at once: in a thread of its own, in one short transaction a pass."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_api.auth import Context
from pixmill_api.progress.event import as_json
from pixmill_api.progress.states import BatchState, JobLook, JobState, Told
from pixmill_api.repositories import watching
from pixmill_api.service.batch_documents import shown_batch
from pixmill_api.service.job_documents import described_outputs, shown_jobs
from pixmill_shared.contract.events import EventType
from pixmill_shared.database.models import Batch, Job
from pixmill_shared.domain.jobs import JobKind, JobStatus, Stage
from pixmill_shared.domain.moments import utc


@dataclass(frozen=True)
class Wanted:
    """Ids of jobs to be read as a whole and to be looked at, of batches, and of jobs whose events are wanted."""

    jobs: Sequence[str] = ()
    looks: Sequence[str] = ()
    batches: Sequence[str] = ()
    #: Jobs that generate, and the last events that are known of them.
    told: Sequence[tuple[str, int]] = ()
    events_of: Sequence[str] = ()
    #: All events after this id.
    events_since: uuid.UUID | None = None


@dataclass(frozen=True)
class Found:
    """By id; what is missing is not there. ``events`` oldest first."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    looks: dict[str, JobLook] = field(default_factory=dict)
    told: dict[str, list[Told]] = field(default_factory=dict)
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
                told=self._told(session, wanted.told) if wanted.told else {},
                batches=self._batches(session, wanted.batches) if wanted.batches else {},
                events=_events(session, wanted),
            )

    def replay(self, project: str, after: uuid.UUID, most: int) -> tuple[list[watching.EventRow], bool]:
        """As ``repositories.watching``."""
        with self._context.runtime.database.session_scope() as session:
            return watching.replay(session, project, after, most)

    def _jobs(self, session: Session, ids: Sequence[str]) -> dict[str, JobState]:
        rows = session.scalars(select(Job).where(Job.id.in_([uuid.UUID(id) for id in ids]))).all()
        told = self._told(session, [(str(job.id), 0) for job in rows if job.kind == JobKind.GENERATE])
        documents = shown_jobs(self._context, session, rows)
        return {
            str(job.id): _state(job, document, told.get(str(job.id), ()))
            for job, document in zip(rows, documents, strict=True)
        }

    def _told(self, session: Session, after: Sequence[tuple[str, int]]) -> dict[str, list[Told]]:
        """By job, its events that came after the last one that is known."""
        rows = watching.told_since(session, after) if after else []
        names: dict[uuid.UUID, list[str]] = defaultdict(list)
        for row in rows:
            names[uuid.UUID(row.job_id)] += row.data.get("outputs", ())
        outputs = described_outputs(self._context, session, names)
        found: dict[str, list[Told]] = defaultdict(list)
        for row in rows:
            data = as_json(_told_document(row, outputs.get(uuid.UUID(row.job_id), {})))
            found[row.job_id].append(Told(row.sequence, row.type, data))
        return found

    def _batches(self, session: Session, ids: Sequence[str]) -> dict[str, BatchState]:
        rows = session.scalars(select(Batch).where(Batch.id.in_([uuid.UUID(id) for id in ids])))
        return {str(batch.id): self._batch(session, batch) for batch in rows}

    def _batch(self, session: Session, batch: Batch) -> BatchState:
        document = shown_batch(self._context, session, batch)
        counts = {name: document[name] for name in ("batch_id", "status", "total", "counts", "progress")}
        done = batch.completed + batch.failed + batch.canceled
        ended = batch.finished_at is not None
        return BatchState(batch.project, batch.status, done, as_json(counts), as_json(document), ended)


def _state(job: Job, document: dict[str, Any], told: Sequence[Told]) -> JobState:
    look = JobLook(job.project, job.status, job.stage, job.progress, job.sequence)
    generates = job.kind == JobKind.GENERATE
    outputs = () if generates else tuple(as_json(output) for output in document["outputs"])
    return JobState(look, as_json(document), job.sequence, outputs, tuple(told), generates)


def _told_document(row: watching.ToldRow, outputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """``data`` of an event before the end: of an item with its outputs, as far as they are still there."""
    if row.type == EventType.JOB_PROGRESS:
        return {"job_id": row.job_id, "status": JobStatus.PROCESSING, "stage": Stage.GENERATE, **row.data}
    made = [outputs[name] for name in row.data.get("outputs", ()) if name in outputs]
    return {"job_id": row.job_id, **row.data, "outputs": made}


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
        **row.data,
    }
