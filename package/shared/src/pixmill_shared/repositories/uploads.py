"""Bytes that came in. SQLAlchemy."""

import uuid
from collections.abc import Collection

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import JobUpload, Upload


def add(session: Session, upload: Upload) -> None:
    """The object must be complete: the row is what makes it usable."""
    session.add(upload)


def find_for_job(session: Session, project: str, upload_id: uuid.UUID) -> Upload | None:
    """As ``find``, for who makes a job of it: the row stays until the transaction ends, and with the job after it."""
    query = select(Upload).where(Upload.id == upload_id, Upload.project == project)
    return session.scalar(query.with_for_update(read=True, key_share=True))


def find(session: Session, project: str, upload_id: uuid.UUID) -> Upload | None:
    """None also for another project's upload."""
    return session.scalar(select(Upload).where(Upload.id == upload_id, Upload.project == project))


def digests(session: Session, project: str, upload_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """sha256 in hex by id, of those that are the project's; their rows stay, as with ``find_for_job``."""
    query = select(Upload.id, Upload.sha256).where(Upload.id.in_(upload_ids), Upload.project == project)
    rows = session.execute(query.with_for_update(read=True, key_share=True))
    return {row.id: row.sha256 for row in rows}


def note_use(session: Session, job_id: uuid.UUID, upload_ids: Collection[uuid.UUID]) -> None:
    """The job needs these beside its source."""
    if upload_ids:
        session.execute(insert(JobUpload), [{"job_id": job_id, "upload_id": upload_id} for upload_id in upload_ids])
