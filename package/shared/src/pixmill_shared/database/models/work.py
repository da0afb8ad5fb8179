"""What the dispatcher publishes and workers claim, and the order in which it does."""

import datetime
import uuid
from typing import Any, Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, text
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
        return (*super().__table_args__, waiting, repeats, source, lane, finished)


class DispatchMark(Base):
    """How far the dispatcher was in a lane after a pass. Written once; the last one counts, old ones are deleted."""

    __tablename__ = "dispatch_marks"

    queue: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    #: Messages published so far.
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: The highest turn among them.
    turn: Mapped[int] = mapped_column(BigInteger)
