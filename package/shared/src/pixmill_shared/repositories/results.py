"""A job as it is shown: the row with its outputs. SQLAlchemy."""

import uuid
from collections.abc import Sequence

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import Job, Output, Rendition


def find_job(session: Session, job_id: uuid.UUID, project: str | None = None) -> Job | None:
    """None also for another project's job; ``project`` None looks in all of them."""
    query = select(Job).where(Job.id == job_id)
    return session.scalar(query if project is None else query.where(Job.project == project))


def outputs_of(session: Session, job_id: uuid.UUID) -> Sequence[Row[Output, Rendition]]:
    """In the recipe's order."""
    query = select(Output, Rendition).join(Rendition, Output.rendition_id == Rendition.id)
    return session.execute(query.where(Output.job_id == job_id).order_by(Output.position)).all()
