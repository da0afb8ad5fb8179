"""The digest of the local day before: once, whenever the schedule says so."""

import datetime
from dataclasses import asdict
from typing import Final

from pixmill_notifier.domain.days import due_day, window_of
from pixmill_notifier.repositories import reports
from pixmill_notifier.service.desk import Desk
from pixmill_shared.contract.alerts import MessageKind
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import alert_messages

log = get_logger(__name__)

_EARLY: Final = datetime.timedelta(seconds=5)
"""A worker may be before the midnight at which the tick was due."""
_DAY: Final = datetime.timedelta(days=1)


def send_due(desk: Desk) -> bool:
    """Whether this call sent it. If nobody was there all of the day before, that day's report follows."""
    with desk.database.session_scope() as session:
        day = due_day(desk.clock(session) + _EARLY, desk.zone)
        missed = reports.is_missed(session, day - _DAY)
    sent = _send(desk, day)
    if missed:
        _send(desk, day - _DAY)
    return sent


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
