"""Every minute: what is wrong now, what was wrong and is no more, and one message for each channel that says so."""

import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_notifier.domain.alerts import Firing, Reading, starts, step
from pixmill_notifier.domain.rules import readings
from pixmill_notifier.repositories import facts
from pixmill_notifier.service.desk import Desk
from pixmill_shared.contract.alerts import ALERT_TITLES, AlertChange, AlertRule, AlertState, MessageKind
from pixmill_shared.database.models import Alert
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import alert_messages, alerts

log = get_logger(__name__)

MOST_FIRING: Final = 2_000
"""Alerts that one evaluation looks at; the oldest first."""
MOST_TOLD: Final = 40
"""Changes that one message lists: a webhook stays below 20 kB, and nobody reads more."""


def tick(desk: Desk) -> None:
    """One evaluation, in a transaction of its own."""
    with desk.database.session_scope() as session:
        evaluate(session, desk)


def evaluate(session: Session, desk: Desk) -> int:
    """How many changes there were. Does nothing while somebody else evaluates, and nothing twice."""
    if not alerts.lock_evaluation(session):
        return 0
    now = desk.clock(session)
    known = {(AlertRule(row.rule), row.subject): row for row in alerts.firing(session, MOST_FIRING)}
    measured = {(each.rule, alerts.printable(each.subject)): each for each in _readings(session, desk, known, now)}
    changes = [
        _told(row, change)
        for key, row in known.items()
        if (change := _advance(row, measured.get(key), now, desk)) is not None
    ]
    for key, reading in measured.items():
        if key not in known and starts(reading):
            row = alerts.start(session, reading.rule, reading.subject, reading.detail, reading.value, now)
            if row is not None:
                row.last_sent_at = now
                changes.append(_told(row, AlertChange.STARTED))
    if changes:
        body = {"changes": changes[:MOST_TOLD], "more": max(len(changes) - MOST_TOLD, 0)}
        alert_messages.enqueue(session, desk.channels, MessageKind.ALERTS, body)
        log.info("alerts changed", changes=len(changes))
    return len(changes)


def _readings(
    session: Session, desk: Desk, known: dict[tuple[AlertRule, str], Alert], now: datetime.datetime
) -> list[Reading]:
    found = facts.collect(session, now, desk.failure_window, desk.disk_percent())
    letters = {subject for rule, subject in known if rule is AlertRule.DEAD_LETTERS}
    return readings(found, desk.thresholds, now, letters)


def _advance(row: Alert, reading: Reading | None, now: datetime.datetime, desk: Desk) -> AlertChange | None:
    if reading is not None:
        row.seen_at, row.value, row.detail = now, reading.value, alerts.printable(reading.detail)
    alert = Firing(AlertRule(row.rule), row.seen_at, row.clear_since, row.last_sent_at, row.recurrence)
    next_step = step(alert, reading, now, desk.policy)
    row.clear_since = next_step.clear_since
    if next_step.change is not None:
        row.last_sent_at = now
    if next_step.change is AlertChange.ENDED:
        row.state, row.ended_at = AlertState.RESOLVED, now
    return next_step.change


def _told(row: Alert, change: AlertChange) -> dict[str, Any]:
    return {
        "change": change.value,
        "rule": row.rule,
        "title": ALERT_TITLES[AlertRule(row.rule)],
        "subject": row.subject,
        "detail": row.detail,
        "value": row.value,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }
