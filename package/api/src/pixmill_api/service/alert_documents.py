"""Alerts as administrators see them."""

import uuid
from typing import Any

from pixmill_api.auth import Context
from pixmill_api.repositories import alert_views
from pixmill_api.service.pages import page_of
from pixmill_shared.contract.alerts import ALERT_TITLES, AlertRule, AlertState
from pixmill_shared.database.models import Alert
from pixmill_shared.domain.moments import utc


def list_alerts(context: Context, *, limit: int, before: uuid.UUID | None, state: AlertState | None) -> dict[str, Any]:
    """One page, newest first."""
    with context.runtime.database.session_scope() as session:
        rows = alert_views.page(session, limit=limit, before=before, state=state)
        shown, more = rows[:limit], len(rows) > limit
        data = [_document(alert) for alert in shown]
    return page_of(data, shown, more=more)


def _document(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": str(alert.id),
        "rule": alert.rule,
        "title": ALERT_TITLES[AlertRule(alert.rule)],
        "subject": alert.subject,
        "state": alert.state,
        "detail": alert.detail,
        "value": alert.value,
        "started_at": utc(alert.started_at),
        "seen_at": utc(alert.seen_at),
        "ended_at": utc(alert.ended_at),
    }
