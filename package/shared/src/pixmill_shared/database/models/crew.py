"""Who works, as the workers themselves tell."""

import datetime

from sqlalchemy import BigInteger, Text
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
