"""Bytes that came in. SQLAlchemy."""

import uuid
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import Upload


def add(session: Session, upload: Upload) -> None:
    """The object must be complete: the row is what makes it usable."""
    session.add(upload)


def find(session: Session, project: str, upload_id: uuid.UUID) -> Upload | None:
    """None also for another project's upload."""
    return session.scalar(select(Upload).where(Upload.id == upload_id, Upload.project == project))


def digests(session: Session, project: str, upload_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """sha256 in hex by id, of those that are the project's."""
    query = select(Upload.id, Upload.sha256).where(Upload.id.in_(upload_ids), Upload.project == project)
    return dict(session.execute(query).tuples().all())
