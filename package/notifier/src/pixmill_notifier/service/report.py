"""The digest of the local day before: once, at seven, or later if it was missed then."""

import datetime
from dataclasses import asdict
from typing import Final

from pixmill_notifier.domain.days import due_day, window_of
from pixmill_notifier.repositories import reports
from pixmill_notifier.service.desk import Desk
from pixmill_shared.contract.alerts import MessageKind
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import alert_messages
from pixmill_shared.schedule import REPORT_AT

log = get_logger(__name__)

_EARLY: Final = datetime.timedelta(minutes=1)
"""Beat's clock may be before the database's."""
_PATIENCE: Final = datetime.timedelta(minutes=10)
"""So long after seven a report counts as missed."""
_EVERY: Final = 15
"""Minutes between two looks for one that was missed: what the database cannot make is not tried each minute."""


def send_due(desk: Desk) -> bool:
    """Whether this call sent it."""
    with desk.database.session_scope() as session:
        day = due_day(desk.clock(session) + _EARLY, desk.zone, REPORT_AT)
    return _send(desk, day)


def send_missed(desk: Desk) -> bool:
    """As ``send_due``, if the tick at seven got lost. Not where pixmill was set up after it."""
    with desk.database.session_scope() as session:
        now = desk.clock(session)
        if now.minute % _EVERY:
            return False
        day = due_day(now - _PATIENCE, desk.zone, REPORT_AT)
        _, due_at = window_of(day, desk.zone)
        if not reports.is_missed(session, day, due_at):
            return False
    return _send(desk, day)


def _send(desk: Desk, day: datetime.date) -> bool:
    with desk.database.session_scope() as session:
        if not reports.reserve(session, day):
            return False
        window = window_of(day, desk.zone)
        figures = asdict(reports.figures_of(session, day, desk.zone.key, window, desk.disk_percent()))
        reports.keep(session, day, figures)
        alert_messages.enqueue(session, desk.channels, MessageKind.REPORT, figures)
    log.info("report made", day=day.isoformat())
    return True
