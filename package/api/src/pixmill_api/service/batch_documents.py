"""Batches as clients see them."""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import NotFound
from pixmill_api.repositories import batch_views
from pixmill_api.service.pages import page_of
from pixmill_shared.contract.queues import Priority
from pixmill_shared.database.models import Batch
from pixmill_shared.domain.moments import utc


def find_batch(context: Context, caller: Caller, batch_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's too."""
    with context.runtime.database.session_scope() as session:
        return shown_batch(context, session, found_batch(session, caller, batch_id))


def found_batch(session: Session, caller: Caller, batch_id: uuid.UUID) -> Batch:
    """Raises NotFound, for another project's too."""
    batch = batch_views.find(session, caller.project, batch_id)
    if batch is None:
        raise NotFound("There is no such batch.")
    return batch


def list_batches(context: Context, caller: Caller, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first, without what was rejected."""
    with context.runtime.database.session_scope() as session:
        rows = batch_views.page(session, caller.project, limit=limit, before=before)
        shown, more = [batch for batch, _ in rows[:limit]], len(rows) > limit
        processing = batch_views.processing(session, [batch.id for batch in shown if batch.finished_at is None])
        data = [_summary(context, batch, processing.get(batch.id, 0), rejected) for batch, rejected in rows[:limit]]
    return page_of(data, shown, more=more)


def shown_batch(context: Context, session: Session, batch: Batch) -> dict[str, Any]:
    """The document of one batch, with all that is read for it."""
    processing = batch_views.processing(session, [batch.id]) if batch.finished_at is None else {}
    summary = _summary(context, batch, processing.get(batch.id, 0), len(batch.rejected))
    return {**summary, "rejected": batch.rejected}


def _summary(context: Context, batch: Batch, processing: int, rejected: int) -> dict[str, Any]:
    ended = batch.completed + batch.failed + batch.canceled
    base = f"{context.public_url}/api/v1"
    url = f"{base}/batches/{batch.id}"
    return {
        "batch_id": str(batch.id),
        "status": batch.status,
        "total": batch.total,
        "counts": {
            # A job may have ended between the two looks at it.
            "queued": max(batch.total - ended - processing, 0),
            "processing": min(processing, batch.total - ended),
            "completed": batch.completed,
            "failed": batch.failed,
            "canceled": batch.canceled,
            "rejected": rejected,
        },
        "progress": 100 * ended // batch.total,
        "metadata": batch.batch_metadata,
        "priority": Priority.of_rank(batch.priority),
        "webhook_url": batch.webhook_url,
        "retry_of": str(batch.retry_of) if batch.retry_of else None,
        "created_at": utc(batch.created_at),
        "finished_at": utc(batch.finished_at),
        "urls": {
            "self": url,
            "jobs": f"{base}/jobs?batch={batch.id}",
            "events": context.links.url(url),
            "cancel": f"{url}/cancel" if batch.finished_at is None else None,
            "outputs": f"{url}/outputs.zip",
        },
    }
