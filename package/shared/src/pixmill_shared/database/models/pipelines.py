"""Places that are looked at again and again, what was found there, and how each look went."""

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from pixmill_shared.database.models.base import NOW, ZERO, Base


class Pipeline(Base):
    """A place, when to look there, and what to do with pictures that are new. One run of it works at a time: the claim
    is its row's.
    """

    __tablename__ = "pipelines"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    name: Mapped[str]
    #: As ``domain/pipelines.py`` reads it: ``{"type": …}``, and what belongs to the type.
    source: Mapped[dict[str, Any]]
    #: As it was named, perhaps with a version; the recipe is what it meant when it was last read.
    preset: Mapped[str]
    preset_version: Mapped[int | None]
    recipe: Mapped[dict[str, Any]]
    cron: Mapped[str]
    timezone: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    webhook_url: Mapped[str | None]
    destination: Mapped[str | None]
    job_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=text("'{}'"))
    #: Of its jobs: whose quota counts.
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    #: What the source said of the answer that was read to its end: ``{"etag": …, "last_modified": …}``.
    cursor: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    #: The next look of the schedule.
    run_at: Mapped[datetime.datetime]
    #: Somebody asked for a look; it is due, also while the schedule is paused.
    requested_at: Mapped[datetime.datetime | None]
    paused_at: Mapped[datetime.datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    lease_until: Mapped[datetime.datetime | None]
    claimed_by: Mapped[str | None]
    #: Runs that failed, one after another; ``told_at``: people were told of it.
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    failing_since: Mapped[datetime.datetime | None]
    told_at: Mapped[datetime.datetime | None]
    error: Mapped[dict[str, Any] | None]
    last_run_at: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        Index("ix_pipelines_project", "project", "id"),
        # What is due: by the schedule, because somebody asked, because a worker died over it.
        Index("ix_pipelines_due", "run_at", postgresql_where=text("paused_at IS NULL")),
        Index("ix_pipelines_requested", "requested_at", postgresql_where=text("requested_at IS NOT NULL")),
        Index("ix_pipelines_leased", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
        # Those that follow a preset.
        Index("ix_pipelines_preset", "project", "preset"),
    )


class PipelineItem(Base):
    """Something that was found, and the job that it became in the same transaction. It stays when the job is deleted:
    nothing becomes a job twice.
    """

    __tablename__ = "pipeline_items"

    pipeline_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pipelines.id", ondelete="CASCADE"), primary_key=True)
    #: What the source knows it by.
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID]
    #: A URL, or the address of an object.
    location: Mapped[str]
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_pipeline_items_listed", "pipeline_id", "id"),)


class PipelineRun(Base):
    """One look. A worker that takes over from one that died goes on with the same run."""

    __tablename__ = "pipeline_runs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    pipeline_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("pipelines.id", ondelete="CASCADE"))
    #: schedule, or request.
    trigger: Mapped[str]
    dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    #: queued, running, completed, failed, canceled.
    status: Mapped[str] = mapped_column(server_default=text("'queued'"))
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    #: Things at the source, those of them that are no pictures, and jobs that were made.
    found: Mapped[int] = mapped_column(server_default=ZERO)
    skipped: Mapped[int] = mapped_column(server_default=ZERO)
    created: Mapped[int] = mapped_column(server_default=ZERO)
    #: Why it ended before the source did; what remains is for the next run.
    stopped: Mapped[str | None]
    #: Of a dry run: ``{"items": [{key, location}], "new": …}``.
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]

    __table_args__ = (
        Index("ix_pipeline_runs_pipeline", "pipeline_id", "id"),
        Index("ix_pipeline_runs_open", "pipeline_id", "id", postgresql_where=text("finished_at IS NULL")),
    )
