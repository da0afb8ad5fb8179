"""Deliveries as clients see them, and sent again."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict, NotFound
from pixmill_api.repositories import webhook_views
from pixmill_api.repositories.webhook_views import WhichDeliveries
from pixmill_api.service.pages import page_of
from pixmill_shared.database.models import Delivery, DeliveryAttempt, Endpoint
from pixmill_shared.domain.jobs import JobStatus
from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories import resending


def list_deliveries(
    context: Context, which: WhichDeliveries, *, limit: int, before: uuid.UUID | None
) -> dict[str, Any]:
    """One page, newest first."""
    with context.runtime.database.session_scope() as session:
        rows = webhook_views.page_of_deliveries(session, which, limit=limit, before=before)
        shown, more = rows[:limit], len(rows) > limit
        attempts = webhook_views.attempts_of_all(session, [row.id for row in shown])
        data = [delivery_document(context, row, attempts.get(row.id, []), excerpts=False) for row in shown]
    return page_of(data, shown, more=more)


def find_delivery(context: Context, caller: Caller, delivery_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's too."""
    with context.runtime.database.session_scope() as session:
        row = webhook_views.find_delivery(session, caller.project, delivery_id)
        if row is None:
            raise _not_found()
        return shown_delivery(context, session, row)


def shown_delivery(context: Context, session: Session, row: Delivery) -> dict[str, Any]:
    """With all its tries."""
    attempts = webhook_views.attempts_of_all(session, [row.id])
    return delivery_document(context, row, attempts.get(row.id, []), excerpts=True)


def resend(context: Context, session: Session, caller: Caller, delivery_id: uuid.UUID) -> dict[str, Any]:
    """A new delivery of the same event; what waits for its next try is due at once instead.

    Raises NotFound, and Conflict while it is being tried, or its endpoint is disabled.
    """
    row = webhook_views.find_delivery(session, caller.project, delivery_id, lock=True)
    if row is None:
        raise _not_found()
    if row.endpoint_id is not None and session.get_one(Endpoint, row.endpoint_id).disabled_at is not None:
        raise Conflict("Its endpoint is disabled. Enable it first: PATCH it with disabled: false.")
    if row.status == JobStatus.PROCESSING:
        raise Conflict("It is being sent at this moment.")
    if row.status == JobStatus.QUEUED:
        resending.hurry(session, row.id)
        session.refresh(row)
        return shown_delivery(context, session, row)
    made = resending.repeat(session, row.id)
    return shown_delivery(context, session, session.get_one(Delivery, made))


def delivery_document(
    context: Context, row: Delivery, attempts: Sequence[DeliveryAttempt], *, excerpts: bool
) -> dict[str, Any]:
    base = f"{context.public_url}/api/v1"
    url = f"{base}/deliveries/{row.id}"
    return {
        "delivery_id": str(row.id),
        "status": row.status,
        "type": row.event_type,
        "event_id": str(row.event_id),
        "message_id": f"msg_{row.event_id.hex}",
        "job_id": str(row.job_id) if row.job_id else None,
        "endpoint_id": str(row.endpoint_id) if row.endpoint_id else None,
        "url": row.url.partition("?")[0],
        "error": (row.error or {}).get("detail"),
        "attempts": [_attempt(each, excerpts) for each in attempts],
        "next_attempt_at": utc(row.run_at) if row.status == JobStatus.QUEUED else None,
        "replay_of": str(row.replay_of) if row.replay_of else None,
        "created_at": utc(row.created_at),
        "finished_at": utc(row.finished_at),
        "urls": {
            "self": url,
            "resend": f"{url}/resend" if row.status != JobStatus.PROCESSING else None,
            "job": f"{base}/jobs/{row.job_id}" if row.job_id else None,
            "endpoint": f"{base}/endpoints/{row.endpoint_id}" if row.endpoint_id else None,
        },
    }


def _attempt(row: DeliveryAttempt, excerpt: bool) -> dict[str, Any]:
    return {
        "at": utc(row.at),
        "status_code": row.status_code,
        "duration_ms": row.duration_ms,
        "error": row.error,
        "response_excerpt": row.response_excerpt if excerpt else None,
    }


def _not_found() -> NotFound:
    return NotFound("There is no such delivery.")
