"""Who works, as the workers themselves tell, and what the clock has them do."""

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, Float, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from pixmill_shared.database.models.base import NOW, Base


class Worker(Base):
    """One worker, renewed by it every few seconds. What an operator wants of it stays when it is started again."""

    __tablename__ = "workers"

    #: As Celery calls it: ``imaging@host``.
    name: Mapped[str] = mapped_column(primary_key=True)
    #: The name under which this start of it claims; see ``runtime.unique_name``.
    instance: Mapped[str]
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    #: prefork or threads.
    pool: Mapped[str]
    #: Processes or threads that it has now, and how many of them have a task.
    size: Mapped[int]
    active: Mapped[int]
    #: Tasks since it started.
    processed: Mapped[int] = mapped_column(BigInteger)
    #: Of the main process and its children.
    resident_bytes: Mapped[int] = mapped_column(BigInteger)
    #: The bounds of a pool that sizes itself, and why it has the size that it has; None: it does not.
    least: Mapped[int | None]
    most: Mapped[int | None]
    scaling: Mapped[str | None]
    #: Bounds that an operator set instead of those of its settings.
    wanted_least: Mapped[int | None]
    wanted_most: Mapped[int | None]
    started_at: Mapped[datetime.datetime]
    seen_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


class BeatRun(Base):
    """One tick of a schedule entry, sent once and run once."""

    __tablename__ = "beat_runs"

    entry: Mapped[str] = mapped_column(primary_key=True)
    #: The time that the tick is of, not the one at which it was sent.
    scheduled_at: Mapped[datetime.datetime] = mapped_column(primary_key=True)
    #: None: it needed no run.
    task_id: Mapped[uuid.UUID | None]
    sent_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW, index=True)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]


class ScheduleWish(Base):
    """What an operator wants of a schedule entry instead of what the settings say."""

    __tablename__ = "schedule_entries"

    entry: Mapped[str] = mapped_column(primary_key=True)
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    every_seconds: Mapped[float | None] = mapped_column(Float)
    changed_by: Mapped[str]
    changed_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


class TaskRecord(Base):
    """How a task without a row ended: one that beat sent, or a person by hand. The last 1,000 of each state."""

    __tablename__ = "task_records"

    #: Minted when it ended. Lists have it beside the ids of tasks that were asked for.
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: Celery's.
    task_id: Mapped[uuid.UUID] = mapped_column(index=True)
    task: Mapped[str]
    #: Of the schedule; None: beat did not send it.
    entry: Mapped[str | None]
    queue: Mapped[str | None]
    worker: Mapped[str]
    #: succeeded or failed.
    state: Mapped[str]
    #: Tries in its place, one after another.
    attempts: Mapped[int]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime.datetime]
    finished_at: Mapped[datetime.datetime]

    __table_args__ = (Index("ix_task_records_state", "state", "id"),)
