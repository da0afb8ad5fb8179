"""What came in and what was made."""

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from pixmill_shared.database.models.base import NOW, Base


class Upload(Base):
    """Bytes that came in. The row appears when the object is complete."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    key: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    #: As the client of tus sent it, who may ask for it.
    client_metadata: Mapped[str | None] = mapped_column("metadata")
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    completed_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


class UploadSession(Base):
    """An upload that is not complete: bytes that come in parts over the API, or in one piece past it into the bucket.
    When it is complete there is an ``Upload`` of the same id instead.
    """

    __tablename__ = "upload_sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project: Mapped[str]
    #: tus or presigned.
    kind: Mapped[str]
    media_type: Mapped[str]
    #: Bytes that were announced; None: not known yet.
    length: Mapped[int | None] = mapped_column(BigInteger)
    #: In hex, where it was announced.
    sha256: Mapped[str | None]
    #: Bytes that are safe, in parts without gaps.
    received: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    #: As the client of tus sent it.
    client_metadata: Mapped[str | None] = mapped_column("metadata")
    #: One request writes at a time.
    locked_by: Mapped[str | None]
    locked_until: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime.datetime] = mapped_column(index=True)

    __table_args__ = (Index("ix_upload_sessions_project", "project", "id"),)


class UploadPart(Base):
    """Bytes of an upload session from ``start`` on, in an object of their own."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("upload_sessions.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str]


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
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=NOW)


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
