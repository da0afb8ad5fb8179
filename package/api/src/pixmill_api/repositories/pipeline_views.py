"""Pipelines, their runs and their items as the API reads them. SQLAlchemy."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import Pipeline, PipelineItem, PipelineRun


def page(session: Session, project: str, *, limit: int, before: uuid.UUID | None) -> Sequence[Pipeline]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(Pipeline).where(Pipeline.project == project)
    if before is not None:
        query = query.where(Pipeline.id < before)
    return session.scalars(query.order_by(Pipeline.id.desc()).limit(limit + 1)).all()


def find(session: Session, project: str, pipeline_id: uuid.UUID, *, lock: bool = False) -> Pipeline | None:
    """None also for another project's. ``lock``: nobody else changes it, or goes on with it, until the end."""
    query = select(Pipeline).where(Pipeline.id == pipeline_id, Pipeline.project == project)
    return session.scalar(query.with_for_update(key_share=True) if lock else query)


def count(session: Session, project: str) -> int:
    query = select(func.count()).select_from(Pipeline).where(Pipeline.project == project)
    return session.execute(query).scalar_one()


def page_of_runs(
    session: Session, pipeline_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> Sequence[PipelineRun]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(PipelineRun).where(PipelineRun.pipeline_id == pipeline_id)
    if before is not None:
        query = query.where(PipelineRun.id < before)
    return session.scalars(query.order_by(PipelineRun.id.desc()).limit(limit + 1)).all()


def find_run(session: Session, pipeline_id: uuid.UUID, run_id: uuid.UUID) -> PipelineRun | None:
    return session.scalar(select(PipelineRun).where(PipelineRun.id == run_id, PipelineRun.pipeline_id == pipeline_id))


def page_of_items(
    session: Session, pipeline_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> Sequence[PipelineItem]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(PipelineItem).where(PipelineItem.pipeline_id == pipeline_id)
    if before is not None:
        query = query.where(PipelineItem.id < before)
    return session.scalars(query.order_by(PipelineItem.id.desc()).limit(limit + 1)).all()
