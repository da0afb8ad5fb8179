"""Webhooks: who is told, of what, how each try went, and who does not answer."""

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, Computed, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from pixmill_shared.database.models.base import NOW, ZERO, Base
from pixmill_shared.database.models.work import WorkColumns


class Endpoint(Base):
    """A receiver of a project's events."""

    __tablename__ = "endpoints"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    #: Types of events that it hears of; none: all.
    events: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default=text("'{}'"))
    #: Of every request to it, sealed: a JSON object, which may hold logins.
    headers: Mapped[bytes | None]
    disabled_at: Mapped[datetime.datetime | None]
    disabled_reason: Mapped[str | None]
    #: No try got through since then.
    failing_since: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_endpoints_project", "project", "id"),)


class EndpointSecret(Base):
    """Signs what is sent to the endpoint, until it expires; the one that never does is the current one."""

    __tablename__ = "endpoint_secrets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("endpoints.id", ondelete="CASCADE"))
    secret: Mapped[bytes]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime.datetime | None]

    __table_args__ = (
        Index("ix_endpoint_secrets_endpoint", "endpoint_id", "id"),
        Index("ux_endpoint_secrets_current", "endpoint_id", unique=True, postgresql_where=text("expires_at IS NULL")),
    )


class Delivery(WorkColumns, Base):
    """One event for one receiver: an endpoint, or what the job named as its ``webhook_url``."""

    __tablename__ = "deliveries"

    #: Deliveries have no owners that take turns: first come, first served, in microseconds.
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("(extract(epoch FROM now()) * 1000000)::bigint"))
    #: The same for all receivers, tries and repeats of an event.
    event_id: Mapped[uuid.UUID] = mapped_column(index=True)
    event_type: Mapped[str]
    #: Of the job's events.
    sequence: Mapped[int | None]
    happened_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    #: What is told of an event that is not a job's.
    data: Mapped[dict[str, Any] | None]
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    endpoint_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("endpoints.id", ondelete="CASCADE"))
    url: Mapped[str]
    #: With the port, where the URL names one: what a receiver that hangs is known by.
    host: Mapped[str | None] = mapped_column(
        Computed("lower(substring(url, '^[^:]+://([^/?#]+)'::text))", persisted=True)
    )
    #: The delivery that this one repeats; the event and its id are the same.
    replay_of: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deliveries.id", ondelete="SET NULL"))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        repeats = Index("ix_deliveries_replay_of", "replay_of", postgresql_where=text("replay_of IS NOT NULL"))
        log = Index("ix_deliveries_endpoint", "endpoint_id", "id", postgresql_where=text("endpoint_id IS NOT NULL"))
        # Lists that ask for a status.
        of_status = Index("ix_deliveries_project_status", "project", "status", "id")
        # What waits for one receiver, to be held back together.
        ready = text("status = 'queued' AND run_at IS NULL")
        of_host = Index("ix_deliveries_host", "host", postgresql_where=ready)
        return (*super().__table_args__, repeats, log, of_status, of_host)


class DeliveryAttempt(Base):
    """One HTTP try."""

    __tablename__ = "delivery_attempts"

    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    fence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    status_code: Mapped[int | None]
    duration_ms: Mapped[int]
    error: Mapped[str | None]
    response_excerpt: Mapped[str | None]
    at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


class Receiver(Base):
    """A host that does not answer; none of one that does. See ``domain/circuits.py``."""

    __tablename__ = "receivers"

    host: Mapped[str] = mapped_column(primary_key=True)
    #: Tries without an answer, one after another.
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    #: How often nothing was sent for a while since it answered last.
    opened: Mapped[int] = mapped_column(server_default=ZERO)
    #: Nothing is sent before.
    retry_at: Mapped[datetime.datetime | None]
    #: The last try; a host that nobody has an event for any more is forgotten.
    asked_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
