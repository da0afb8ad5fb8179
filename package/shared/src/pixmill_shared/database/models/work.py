"""What the dispatcher publishes and workers claim, and the order in which it does."""

import datetime
import uuid
from typing import Any, Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from pixmill_shared.database.models.base import NOW, ZERO, Base

_READY: Final = "status = 'queued' AND dispatched_at IS NULL AND run_at IS NULL"


class WorkColumns:
    """What makes a row claimable: see ``repositories/work.py`` for who writes which column."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'queued'"))
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    #: The order within a queue and priority; owners take turns. See ``repositories/lanes.py``.
    turn: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    fence: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    lease_until: Mapped[datetime.datetime | None]
    claimed_by: Mapped[str | None]
    run_at: Mapped[datetime.datetime | None]
    dispatched_at: Mapped[datetime.datetime | None]
    #: Of the last publication, counted by its queue: what was published much later and is claimed overtook this one.
    dispatch_number: Mapped[int | None] = mapped_column(BigInteger)
    dispatches: Mapped[int] = mapped_column(server_default=ZERO)
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        """One partial index per question of the dispatcher, so that finished rows cost it nothing."""
        name = str(cls.__tablename__)  # type: ignore[attr-defined]
        ready = _READY
        published = "status = 'queued' AND dispatched_at IS NOT NULL"
        delayed = "status = 'queued' AND run_at IS NOT NULL"
        return (
            Index(f"ix_{name}_ready", "queue", "priority", "turn", "id", postgresql_where=text(ready)),
            Index(f"ix_{name}_published", "queue", "priority", "dispatch_number", postgresql_where=text(published)),
            Index(f"ix_{name}_delayed", "run_at", postgresql_where=text(delayed)),
            # Not by the status: it would serve for a claimed row too, through all the entries of rows that are gone.
            Index(f"ix_{name}_leased", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
            Index(f"ix_{name}_project", "project", "id"),
        )


class Job(WorkColumns, Base):
    """One source and a recipe. ``source`` is what the client gave and, later, what was found there."""

    __tablename__ = "jobs"

    kind: Mapped[str] = mapped_column(server_default=text("'process'"))
    #: Whose turn it takes: ``project:<name>``, or a batch of its own.
    owner: Mapped[str] = mapped_column(server_default=text("''"))
    stage: Mapped[str | None]
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    #: The item's place in the batch's request.
    batch_index: Mapped[int | None] = mapped_column(SmallInteger)
    #: What found its source; see ``pipelines.py``.
    pipeline_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("pipelines.id", ondelete="SET NULL"))
    #: What the recipe was named; the recipe itself is in the row.
    preset: Mapped[str | None]
    preset_version: Mapped[int | None]
    source: Mapped[dict[str, Any]]
    source_key: Mapped[str | None]
    source_sha256: Mapped[str | None]
    recipe: Mapped[dict[str, Any]]
    #: Where outputs are copied to, as ``s3://bucket/prefix``.
    destination: Mapped[str | None]
    #: The key of a rendition that another job is making; see ``repositories/reservations.py``.
    waits_for: Mapped[str | None]
    job_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=text("'{}'"))
    webhook_url: Mapped[str | None]
    request_id: Mapped[str | None]
    progress: Mapped[int] = mapped_column(SmallInteger, server_default=ZERO)
    #: Of ``error``, if that was raised: for the dead letter, should the processes of all later attempts die.
    traceback: Mapped[str | None]
    sequence: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    #: The job that this one repeats.
    retry_of: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        waiting = Index("ix_jobs_waits_for", "waits_for", postgresql_where=text("waits_for IS NOT NULL"))
        repeats = Index("ix_jobs_retry_of", "retry_of", postgresql_where=text("retry_of IS NOT NULL"))
        # Whether anything still needs an object.
        source = Index("ix_jobs_source_key", "source_key", postgresql_where=text("source_key IS NOT NULL"))
        # The last turn of an owner.
        lane = Index("ix_jobs_lane", "queue", "priority", "owner", "turn", postgresql_where=text(_READY))
        # What ended in a span of time: for the failure rate and the daily report.
        finished = Index("ix_jobs_finished", "finished_at", "status", postgresql_where=text("finished_at IS NOT NULL"))
        batch = Index("ix_jobs_batch", "batch_id", "id", postgresql_where=text("batch_id IS NOT NULL"))
        # With the project, since whoever asks for the jobs of another project's pipeline looks through all of them.
        found = text("pipeline_id IS NOT NULL")
        pipeline = Index("ix_jobs_pipeline", "pipeline_id", "project", "id", postgresql_where=found)
        # Lists that ask for a status, a kind, or for what clients wrote on their jobs.
        of_status = Index("ix_jobs_project_status", "project", "status", "id")
        of_kind = Index("ix_jobs_project_kind", "project", "kind", "id")
        written = Index(
            "ix_jobs_metadata",
            "metadata",
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
            postgresql_where=text("metadata <> '{}'"),
        )
        # How much an API key has under way.
        under_way = text("api_key_id IS NOT NULL AND finished_at IS NULL")
        of_key = Index("ix_jobs_unfinished_of_key", "api_key_id", postgresql_where=under_way)
        # What takes too long.
        unfinished = text("kind = 'generate' AND finished_at IS NULL")
        generating = Index("ix_jobs_generating", "started_at", postgresql_where=unfinished)
        asked_for = (batch, pipeline, of_status, of_kind, written, of_key)
        own = (waiting, repeats, source, lane, finished, *asked_for, generating)
        return (*super().__table_args__, *own)


class Batch(Base):
    """Jobs that were asked for together. Each job that ends is counted here in the transaction that ends it; the one
    that was the last ends the batch.
    """

    __tablename__ = "batches"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    #: processing until all jobs have ended; then completed, partially_completed, failed or canceled.
    status: Mapped[str] = mapped_column(server_default=text("'processing'"))
    #: Jobs that were made. Items that were refused are none.
    total: Mapped[int]
    completed: Mapped[int] = mapped_column(server_default=ZERO)
    failed: Mapped[int] = mapped_column(server_default=ZERO)
    canceled: Mapped[int] = mapped_column(server_default=ZERO)
    #: Items that no job could be made of: ``[{index, errors: [{pointer, detail}]}]``.
    rejected: Mapped[list[Any]] = mapped_column(JSONB(), server_default=text("'[]'"))
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    webhook_url: Mapped[str | None]
    batch_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=text("'{}'"))
    request_id: Mapped[str | None]
    #: The batch whose failed items this one repeats.
    retry_of: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="SET NULL"))
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime.datetime | None]

    __table_args__ = (
        Index("ix_batches_project", "project", "id"),
        Index("ix_batches_retry_of", "retry_of", postgresql_where=text("retry_of IS NOT NULL")),
    )


class TaskRequest(WorkColumns, Base):
    """A task that somebody asked for. Work like any other; the row's id is the id of the Celery task."""

    __tablename__ = "task_requests"

    #: First come, first served.
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("(extract(epoch FROM now()) * 1000000)::bigint"))
    task: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    result: Mapped[dict[str, Any] | None]
    #: As a job's.
    traceback: Mapped[str | None]
    #: The API key's name and public part, or who runs the command.
    requested_by: Mapped[str]
    request_id: Mapped[str | None]

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        # The archives of a batch, and those whose objects are there still.
        asked = text("(payload ->> 'batch_id') IS NOT NULL")
        batch = Index("ix_task_requests_batch", text("(payload ->> 'batch_id')"), "id", postgresql_where=asked)
        there = text("(result ->> 'key') IS NOT NULL")
        archives = Index("ix_task_requests_archives", "finished_at", postgresql_where=there)
        # Lists that ask for a status: a project's, and everyone's.
        of_project = Index("ix_task_requests_project_status", "project", "status", "id")
        of_status = Index("ix_task_requests_status", "status", "id")
        return (*super().__table_args__, batch, archives, of_project, of_status)


class DispatchMark(Base):
    """How far the dispatcher was in a lane after a pass. Written once; the last one counts, old ones are deleted."""

    __tablename__ = "dispatch_marks"

    queue: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    #: Messages published so far.
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: The highest turn among them.
    turn: Mapped[int] = mapped_column(BigInteger)
