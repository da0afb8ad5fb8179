"""The tables. All times are timezone-aware UTC; ids are UUIDv7, minted by the application.

Three groups: work (``jobs``, ``deliveries``: what the dispatcher publishes and workers claim, in the order of
``lanes``), what came in and what was made (``uploads``, ``renditions``, ``outputs``), and records (``job_events``,
``delivery_attempts``, ``dead_letters``, ``idempotency_records``, ``service_health``).
"""

import datetime
import uuid
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {
        str: Text(),
        datetime.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        bytes: LargeBinary(),
    }


_NOW = text("now()")
_ZERO = text("0")


class WorkColumns:
    """What makes a row claimable: see ``repositories/work.py`` for who writes which column."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'queued'"))
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    #: The order within a priority; owners take turns. See ``Lane``.
    turn: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    fence: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    attempts: Mapped[int] = mapped_column(server_default=_ZERO)
    lease_until: Mapped[datetime.datetime | None]
    claimed_by: Mapped[str | None]
    run_at: Mapped[datetime.datetime | None]
    dispatched_at: Mapped[datetime.datetime | None]
    #: Of the last publication, counted by its queue: what was published much later and is claimed overtook this one.
    dispatch_number: Mapped[int | None] = mapped_column(BigInteger)
    dispatches: Mapped[int] = mapped_column(server_default=_ZERO)
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        """One partial index per question of the dispatcher, so that finished rows cost it nothing."""
        name = str(cls.__tablename__)  # type: ignore[attr-defined]
        ready = "status = 'queued' AND dispatched_at IS NULL AND run_at IS NULL"
        published = "status = 'queued' AND dispatched_at IS NOT NULL"
        delayed = "status = 'queued' AND run_at IS NOT NULL"
        return (
            Index(f"ix_{name}_ready", "queue", "priority", "turn", "id", postgresql_where=text(ready)),
            Index(f"ix_{name}_published", "queue", "dispatched_at", postgresql_where=text(published)),
            Index(f"ix_{name}_delayed", "run_at", postgresql_where=text(delayed)),
            Index(f"ix_{name}_leased", "lease_until", postgresql_where=text("status = 'processing'")),
            Index(f"ix_{name}_project", "project", "id"),
        )


class Job(WorkColumns, Base):
    """One source and a recipe. ``source`` is what the client gave and, later, what was found there."""

    __tablename__ = "jobs"

    kind: Mapped[str] = mapped_column(server_default=text("'process'"))
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
    progress: Mapped[int] = mapped_column(SmallInteger, server_default=_ZERO)
    sequence: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    #: The job that this one repeats.
    retry_of: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        waiting = Index("ix_jobs_waits_for", "waits_for", postgresql_where=text("waits_for IS NOT NULL"))
        repeats = Index("ix_jobs_retry_of", "retry_of", postgresql_where=text("retry_of IS NOT NULL"))
        # Whether anything still needs an object.
        source = Index("ix_jobs_source_key", "source_key", postgresql_where=text("source_key IS NOT NULL"))
        return (*super().__table_args__, waiting, repeats, source)


class DispatchQueue(Base):
    """What the dispatcher knows of a queue. Whoever has locked the row publishes into the queue; others pass it by."""

    __tablename__ = "dispatch_queues"

    queue: Mapped[str] = mapped_column(primary_key=True)
    #: Messages published so far.
    published: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: No row that is published and unclaimed was published before.
    unclaimed_since: Mapped[datetime.datetime | None]


class Lane(Base):
    """The last turn that an owner (a project, a batch) was given in a queue and priority.

    The owner ``''`` stands for the queue itself: the turn that was dispatched last.
    """

    __tablename__ = "lanes"

    queue: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    owner: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)


class Upload(Base):
    """Bytes that came in. The row appears when the object is complete."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    key: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)
    completed_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)


class JobUpload(Base):
    """An upload that a job's recipe needs beside its source: the image of a watermark."""

    __tablename__ = "job_uploads"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    upload_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("uploads.id"), primary_key=True, index=True)


class Rendition(Base):
    """One made image. ``key`` is its content address; ``storage_key`` ends in ``id``."""

    __tablename__ = "renditions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    storage_key: Mapped[str]
    source_sha256: Mapped[str]
    recipe_hash: Mapped[str]
    engine: Mapped[str]
    format: Mapped[str]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    #: In base64, of the first frame.
    thumbhash: Mapped[str | None]
    #: ``#rrggbb``; none where nothing can be seen.
    dominant_color: Mapped[str | None]
    frames: Mapped[int] = mapped_column(server_default=text("1"))
    #: What a job shows of its source, so that one that only links need not look at the bytes.
    source_facts: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)


class RenditionReservation(Base):
    """A rendition that a job is making. The lease is that of the job's claim: a dead maker's is taken over."""

    __tablename__ = "rendition_reservations"

    key: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    lease_until: Mapped[datetime.datetime]


class Output(Base):
    """A job's named output."""

    __tablename__ = "outputs"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    rendition_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("renditions.id"), index=True)
    cached: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Of the copy at the job's destination: the whole address, as ``s3://bucket/prefix/key``.
    storage_key: Mapped[str | None]


class JobEvent(Base):
    """What happened to a job; ``sequence`` counts within the job. ``id`` is the webhook's message id."""

    __tablename__ = "job_events"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    sequence: Mapped[int]
    type: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (Index("ix_job_events_job", "job_id", "sequence", unique=True),)


class Delivery(WorkColumns, Base):
    """One event for one receiver."""

    __tablename__ = "deliveries"

    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job_events.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    url: Mapped[str]
    #: The delivery that this one repeats; the event and its id are the same.
    replay_of: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deliveries.id", ondelete="SET NULL"))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        repeats = Index("ix_deliveries_replay_of", "replay_of", postgresql_where=text("replay_of IS NOT NULL"))
        return (*super().__table_args__, repeats)


class DeliveryAttempt(Base):
    """One HTTP try."""

    __tablename__ = "delivery_attempts"

    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    fence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    status_code: Mapped[int | None]
    duration_ms: Mapped[int]
    error: Mapped[str | None]
    response_excerpt: Mapped[str | None]
    at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)


class DeadLetter(Base):
    """Work that gave up after all its attempts, and what came from the broker that nobody can do."""

    __tablename__ = "dead_letters"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: None: a message that belongs to nobody.
    project: Mapped[str | None]
    task: Mapped[str]
    payload: Mapped[dict[str, Any]]
    error: Mapped[dict[str, Any]]
    traceback: Mapped[str | None]
    attempts: Mapped[int]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)
    replayed_at: Mapped[datetime.datetime | None]
    replayed_by: Mapped[str | None]
    #: The id of the job or delivery that the replay made; it points back by ``retry_of`` or ``replay_of``.
    replayed_as: Mapped[uuid.UUID | None]

    __table_args__ = (Index("ix_dead_letters_project", "project", "id"),)


class IdempotencyRecord(Base):
    """The first answer to a request with an ``Idempotency-Key``; written in the transaction that made the resource."""

    __tablename__ = "idempotency_records"

    project: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime.datetime] = mapped_column(index=True)


class ApiKey(Base):
    """``prefix`` is the public part of the token; only the hash of the whole token is kept."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    token_sha256: Mapped[bytes]
    webhook_secret: Mapped[bytes]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)
    revoked_at: Mapped[datetime.datetime | None]


class ServiceHealth(Base):
    """When something was last seen well: beat's heartbeat arrives here through the whole chain."""

    __tablename__ = "service_health"

    service: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    checked_at: Mapped[datetime.datetime] = mapped_column(server_default=_NOW)
