"""Batches as the API shows them. SQLAlchemy."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from pixmill_shared.database.models import Batch, Job
from pixmill_shared.domain.jobs import JobStatus


def find(session: Session, project: str, batch_id: uuid.UUID) -> Batch | None:
    """None also for another project's. As it is now, whatever the session has read before."""
    query = select(Batch).where(Batch.id == batch_id, Batch.project == project)
    return session.scalar(query.execution_options(populate_existing=True))


def page(session: Session, project: str, *, limit: int, before: uuid.UUID | None) -> list[tuple[Batch, int]]:
    """Newest first, one more than ``limit`` if there are more, each with the number of its rejected items: these
    themselves are not read, they may be megabytes.
    """
    query = select(Batch, func.jsonb_array_length(Batch.rejected)).where(Batch.project == project)
    if before is not None:
        query = query.where(Batch.id < before)
    query = query.options(defer(Batch.rejected, raiseload=True)).order_by(Batch.id.desc()).limit(limit + 1)
    return [(batch, rejected) for batch, rejected in session.execute(query)]


def processing(session: Session, batch_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """How many jobs are worked on, of those batches that have any. What has a lease is never much: however many jobs
    a batch has, few rows are looked at.
    """
    if not batch_ids:
        return {}
    working = (Job.lease_until.is_not(None), Job.status == JobStatus.PROCESSING, Job.batch_id.in_(batch_ids))
    query = select(Job.batch_id, func.count().label("jobs")).where(*working).group_by(Job.batch_id)
    return {row.batch_id: row.jobs for row in session.execute(query)}
