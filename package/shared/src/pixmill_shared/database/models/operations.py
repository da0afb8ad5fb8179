"""What the people who run pixmill look at and are told."""

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, Float, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from pixmill_shared.database.models.base import NOW, ZERO, Base
from pixmill_shared.database.models.work import WorkColumns


class Alert(Base):
    """One time that a rule was broken, from its start to its end."""

    __tablename__ = "alerts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    rule: Mapped[str]
    #: What it is about: a service, a queue, an endpoint.
    subject: Mapped[str]
    state: Mapped[str]
    detail: Mapped[str]
    value: Mapped[float | None] = mapped_column(Float)
    started_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    ended_at: Mapped[datetime.datetime | None]
    #: When the rule was last measured or raised.
    seen_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    #: All is well since then; the end is told when it stays so.
    clear_since: Mapped[datetime.datetime | None]
    #: None: nobody was told yet.
    last_sent_at: Mapped[datetime.datetime | None]
    #: How often it had started in the day before: what comes and goes is held longer.
    recurrence: Mapped[int] = mapped_column(SmallInteger, server_default=ZERO)

    __table_args__ = (
        # Two evaluators at once cannot both start an alert.
        Index("ux_alerts_firing", "rule", "subject", unique=True, postgresql_where=text("state = 'firing'")),
        Index("ix_alerts_subject", "rule", "subject", "started_at"),
    )


class AlertMessage(WorkColumns, Base):
    """One message for one channel. Work like any other: a channel that fails is tried again and delays no other."""

    __tablename__ = "alert_messages"

    #: It belongs to nobody's project: the people who run pixmill read it.
    project: Mapped[str] = mapped_column(server_default=text("''"))
    #: As for deliveries: first come, first served.
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("(extract(epoch FROM now()) * 1000000)::bigint"))
    channel: Mapped[str]
    kind: Mapped[str]
    body: Mapped[dict[str, Any]]


class Report(Base):
    """The digest of a local day. Whoever inserts the row sends it, so that it is sent once."""

    __tablename__ = "reports"

    day: Mapped[datetime.date] = mapped_column(primary_key=True)
    figures: Mapped[dict[str, Any]]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


class QueueSample(Base):
    """How much work waited in a queue, and for how long the oldest of it had."""

    __tablename__ = "queue_samples"

    queue: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime.datetime] = mapped_column(primary_key=True, server_default=NOW)
    depth: Mapped[int] = mapped_column(BigInteger)
    #: None: nothing waits.
    oldest_seconds: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (Index("ix_queue_samples_at", "at"),)


class Backup(Base):
    """One run. ``status``: running, completed or failed."""

    __tablename__ = "backups"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    status: Mapped[str]
    started_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime.datetime | None]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    key: Mapped[str | None]
    error: Mapped[str | None]
