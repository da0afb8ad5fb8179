"""Pipelines, their runs and their items as clients see them."""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import NotFound
from pixmill_api.pipeline_schemas import SOURCE_FIELDS
from pixmill_api.repositories import pipeline_views
from pixmill_api.service.pages import page_of
from pixmill_shared.contract.queues import Priority
from pixmill_shared.database.models import Pipeline, PipelineItem, PipelineRun
from pixmill_shared.domain.moments import utc


def list_pipelines(context: Context, caller: Caller, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first."""
    with context.runtime.database.session_scope() as session:
        rows = pipeline_views.page(session, caller.project, limit=limit, before=before)
        data = [pipeline_document(context, row) for row in rows[:limit]]
    return page_of(data, rows[:limit], more=len(rows) > limit)


def find_pipeline(context: Context, caller: Caller, pipeline_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's too."""
    with context.runtime.database.session_scope() as session:
        return pipeline_document(context, found(session, caller, pipeline_id))


def found(session: Session, caller: Caller, pipeline_id: uuid.UUID, *, lock: bool = False) -> Pipeline:
    """Raises NotFound, for another project's too."""
    row = pipeline_views.find(session, caller.project, pipeline_id, lock=lock)
    if row is None:
        raise NotFound("There is no such pipeline.")
    return row


def list_runs(
    context: Context, caller: Caller, pipeline_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> dict[str, Any]:
    """One page, newest first, without the items of dry runs. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        found(session, caller, pipeline_id)
        rows = pipeline_views.page_of_runs(session, pipeline_id, limit=limit, before=before)
        data = [run_summary(context, row) for row in rows[:limit]]
    return page_of(data, rows[:limit], more=len(rows) > limit)


def find_run(context: Context, caller: Caller, pipeline_id: uuid.UUID, run_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        found(session, caller, pipeline_id)
        row = pipeline_views.find_run(session, pipeline_id, run_id)
        if row is None:
            raise NotFound("The pipeline has no such run, or none any more.")
        return run_document(context, row)


def list_items(
    context: Context, caller: Caller, pipeline_id: uuid.UUID, *, limit: int, before: uuid.UUID | None
) -> dict[str, Any]:
    """One page, newest first. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        found(session, caller, pipeline_id)
        rows = pipeline_views.page_of_items(session, pipeline_id, limit=limit, before=before)
        data = [_item(row) for row in rows[:limit]]
    return page_of(data, rows[:limit], more=len(rows) > limit)


def pipeline_document(context: Context, row: Pipeline) -> dict[str, Any]:
    """``source`` with all its keys, as the schema has them."""
    base = f"{context.public_url}/api/v1"
    url = f"{base}/pipelines/{row.id}"
    calls = {call: f"{url}/{call}" for call in ("run", "pause", "resume", "runs", "items")}
    return {
        "pipeline_id": str(row.id),
        "name": row.name,
        "paused": row.paused_at is not None,
        "running": row.lease_until is not None,
        "source": {**dict.fromkeys(SOURCE_FIELDS), **row.source},
        "preset": row.preset,
        "preset_version": row.preset_version,
        "cron": row.cron,
        "timezone": row.timezone,
        "priority": Priority.of_rank(row.priority),
        "webhook_url": row.webhook_url,
        "destination": row.destination,
        "metadata": row.job_metadata,
        "next_run_at": utc(row.run_at) if row.paused_at is None else None,
        "last_run_at": utc(row.last_run_at),
        "failures": row.failures,
        "failing_since": utc(row.failing_since),
        "error": row.error,
        "created_at": utc(row.created_at),
        "updated_at": utc(row.updated_at),
        "urls": {"self": url, **calls, "jobs": f"{base}/jobs?pipeline={row.id}"},
    }


def run_summary(context: Context, row: PipelineRun) -> dict[str, Any]:
    pipeline = f"{context.public_url}/api/v1/pipelines/{row.pipeline_id}"
    result = row.result or {}
    return {
        "run_id": str(row.id),
        "pipeline_id": str(row.pipeline_id),
        "trigger": row.trigger,
        "dry_run": row.dry_run,
        "status": row.status,
        "attempts": row.attempts,
        "found": row.found,
        "skipped": row.skipped,
        "created": row.created,
        "would_create": result.get("new"),
        "unchanged": result.get("unchanged", False),
        "stopped": row.stopped,
        "error": row.error,
        "created_at": utc(row.created_at),
        "started_at": utc(row.started_at),
        "finished_at": utc(row.finished_at),
        "urls": {"self": f"{pipeline}/runs/{row.id}", "pipeline": pipeline},
    }


def run_document(context: Context, row: PipelineRun) -> dict[str, Any]:
    return {**run_summary(context, row), "items": (row.result or {}).get("items")}


def _item(row: PipelineItem) -> dict[str, Any]:
    return {
        "item_id": str(row.id),
        "key": row.key,
        "location": row.location,
        "job_id": str(row.job_id) if row.job_id else None,
        "created_at": utc(row.created_at),
    }
