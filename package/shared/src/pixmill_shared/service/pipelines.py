"""Pipelines, as people steer them: paused, resumed, asked to run. SQLAlchemy; the row is locked by who calls."""

import uuid

from sqlalchemy import func
from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.contract.queues import Priority
from pixmill_shared.contract.requests import CHECK_PIPELINES
from pixmill_shared.database.models import Pipeline, PipelineRun
from pixmill_shared.repositories import alerts, clock, pipelines, task_requests
from pixmill_shared.service.cron import next_time


def pause(session: Session, row: Pipeline) -> bool:
    """A run that is under way ends, and those that wait are canceled. False: it was paused before."""
    if row.paused_at is not None:
        return False
    row.paused_at = func.clock_timestamp()
    pipelines.interrupt(session, row, queued=True)
    clear_alert(session, row.id)
    return True


def resume(session: Session, row: Pipeline) -> bool:
    """It looks again at its next time; what failed before is forgotten. False: it was not paused."""
    if row.paused_at is None:
        return False
    row.paused_at = None
    row.run_at = next_time(row.cron, row.timezone, clock.now(session))
    forgive(session, row)
    return True


def request_run(
    session: Session, row: Pipeline, *, dry_run: bool, requested_by: str, request_id: str | None = None
) -> PipelineRun:
    """The run, which a worker begins at once; one that waits already is the one."""
    run = pipelines.request(session, row, dry_run=dry_run)
    task_requests.insert(
        *(session, CHECK_PIPELINES, {}),
        project=row.project,
        priority=Priority.HIGH,
        requested_by=requested_by,
        request_id=request_id,
    )
    return run


def forgive(session: Session, row: Pipeline) -> None:
    """Its failures are over, and whoever was told of them is told so."""
    row.failures, row.failing_since, row.told_at, row.error = 0, None, None, None
    clear_alert(session, row.id)


def clear_alert(session: Session, pipeline_id: uuid.UUID) -> None:
    """Of one that works again, or need not work any more; does nothing where there was none."""
    alerts.clear_alert(session, AlertRule.PIPELINE_FAILING, alert_subject(pipeline_id))


def alert_subject(pipeline_id: uuid.UUID) -> str:
    """As people see it."""
    return f"pipeline {pipeline_id}"
