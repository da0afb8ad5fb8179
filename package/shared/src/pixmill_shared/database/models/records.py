"""What happened, who may ask, and how the services are."""

import datetime
import uuid
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from pixmill_shared.database.models.base import NOW, ZERO, Base


class JobEvent(Base):
    """What happened to a job; ``sequence`` counts within the job. ``id`` is the webhook's message id."""

    __tablename__ = "job_events"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    sequence: Mapped[int]
    type: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_job_events_job", "job_id", "sequence", unique=True),)


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
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    replayed_at: Mapped[datetime.datetime | None]
    replayed_by: Mapped[str | None]
    #: The id of what the replay made; a job points back by ``retry_of``, a delivery by ``replay_of``.
    replayed_as: Mapped[uuid.UUID | None]

    __table_args__ = (
        Index("ix_dead_letters_project", "project", "id"),
        Index("ix_dead_letters_created", "created_at"),
        # Lists that ask for a task, for what was replayed, and for what was not.
        Index("ix_dead_letters_task", "project", "task", "id"),
        Index("ix_dead_letters_replayed", "project", "id", postgresql_where=text("replayed_at IS NOT NULL")),
        Index("ix_dead_letters_open", "project", "id", postgresql_where=text("replayed_at IS NULL")),
    )


class IdempotencyRecord(Base):
    """The first answer to a request with an ``Idempotency-Key``; written in the transaction that made the resource."""

    __tablename__ = "idempotency_records"

    project: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    #: As it was sent: jsonb would change the order of keys and the shape of numbers.
    body: Mapped[bytes]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
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
    #: The secret before the last rotation, which signs too until it expires.
    former_secret: Mapped[bytes | None]
    former_secret_expires_at: Mapped[datetime.datetime | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default=text("'{jobs:read,jobs:write}'"))
    #: It may name presets, and send no recipe of its own.
    presets_only: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Requests a minute; None: PIXMILL_RATE_LIMIT.
    rate_limit: Mapped[int | None]
    #: Jobs under way at once; None: PIXMILL_MAX_UNFINISHED_JOBS.
    max_unfinished: Mapped[int | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime.datetime | None]
    revoked_at: Mapped[datetime.datetime | None]

    __table_args__ = (
        Index(
            "ix_api_keys_expires",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL AND revoked_at IS NULL"),
        ),
    )


class AuditRecord(Base):
    """What somebody with the rights of an administrator did, and when."""

    __tablename__ = "audit"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: None: it concerns the whole installation.
    project: Mapped[str | None]
    #: The API key's name and public part, or who ran the command on which host.
    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    request_id: Mapped[str | None]
    at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_audit_project", "project", "id"),)


class Preset(Base):
    """A version of a named recipe. Rows are never changed: the highest version counts, and one without a recipe says
    that the preset was deleted.
    """

    __tablename__ = "presets"

    project: Mapped[str] = mapped_column(primary_key=True)
    #: Its order is that of the bytes, as Python's: lists have built-in presets between them.
    name: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    recipe: Mapped[dict[str, Any] | None]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


class ServiceHealth(Base):
    """How something is, by its last check: beat's heartbeat arrives here through the whole chain.

    ``status``: healthy or unhealthy.
    """

    __tablename__ = "service_health"

    service: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    #: It has this status since then.
    since: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    #: Checks that failed one after another.
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    status_code: Mapped[int | None]
    response_ms: Mapped[int | None]
    error: Mapped[str | None]
    checked_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
