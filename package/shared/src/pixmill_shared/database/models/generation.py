"""Jobs that generate: what was asked for, its parts, and how each thing came out."""

import datetime
import uuid
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from pixmill_shared.database.models.base import ZERO, Base
from pixmill_shared.database.models.work import WorkColumns

_FALSE: Final = text("false")


class Generation(Base):
    """What a job of the kind ``generate`` is beside its row in ``jobs``; its counts are kept in the transactions that
    end items and chunks.
    """

    __tablename__ = "generations"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    #: placeholder, fail or skip: what becomes of a thing that no picture could be made of.
    fallback: Mapped[str]
    cache: Mapped[bool]
    #: general, or menu: how it was asked for.
    form: Mapped[str]
    #: Names in the order of the request, those without items too.
    categories: Mapped[list[Any]] = mapped_column(JSONB())
    total_items: Mapped[int]
    total_chunks: Mapped[int]
    finished_items: Mapped[int] = mapped_column(server_default=ZERO)
    finished_chunks: Mapped[int] = mapped_column(server_default=ZERO)
    #: Finished items with a picture that a model made.
    real_items: Mapped[int] = mapped_column(server_default=ZERO)
    #: Millionths of a US dollar that its pictures cost, or may have.
    cost: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)


class GenerationChunk(WorkColumns, Base):
    """Some items of a job: what the dispatcher publishes and a worker claims.

    ``waiting`` until so many of the job's other chunks have ended that this one may be worked on.
    """

    __tablename__ = "generation_chunks"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    #: As a job's.
    traceback: Mapped[str | None]

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        of_job = Index("ix_generation_chunks_job", "job_id", "position", unique=True)
        waiting = Index(
            "ix_generation_chunks_waiting", "job_id", "position", postgresql_where=text("status = 'waiting'")
        )
        return (*super().__table_args__, of_job, waiting)


class GenerationItem(Base):
    """One thing, and its picture once it is there. Order and category are columns: jsonb keeps no order of keys."""

    __tablename__ = "generation_items"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    chunk_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("generation_chunks.id", ondelete="CASCADE"))
    category: Mapped[str]
    name: Mapped[str]
    prompt: Mapped[str]
    #: As it was given; with the order of its keys.
    details: Mapped[dict[str, Any]] = mapped_column(JSON())
    #: Without extension; no two items of a job have the same.
    file_name: Mapped[str]
    #: Calls to the provider that were begun.
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=ZERO)
    finished_at: Mapped[datetime.datetime | None]
    #: Who made the picture; None: there is none.
    provider: Mapped[str | None]
    #: Did a model make a picture of it?
    success: Mapped[bool] = mapped_column(server_default=_FALSE)
    error: Mapped[dict[str, Any] | None]
    #: Names of the job's outputs that are of this item, in the recipe's order.
    outputs: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default=text("'{}'"))
    cached: Mapped[bool] = mapped_column(server_default=_FALSE)
    duration_ms: Mapped[int | None]

    __table_args__ = (
        Index("ix_generation_items_chunk", "chunk_id", "position"),
        # How long pictures take, from the last that were made.
        Index("ix_generation_items_made", "finished_at", postgresql_where=text("success AND NOT cached")),
    )


class ProviderMeter(Base):
    """How often a provider may be asked: one row each, for all workers."""

    __tablename__ = "provider_meters"

    provider: Mapped[str] = mapped_column(primary_key=True)
    #: The next call may begin then.
    next_at: Mapped[datetime.datetime]
