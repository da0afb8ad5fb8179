"""Alerts: raised by whoever sees the trouble, started and ended by the evaluator. SQLAlchemy.

All times are arguments or the database's.
"""

import datetime
import uuid
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import AlertRule, AlertState
from pixmill_shared.database.models import Alert
from pixmill_shared.domain.ids import new_id

LONGEST_TEXT: Final = 300
"""Characters of a subject or a detail: both are shown in messages, and some of it came from outside."""

_RECURRING: Final = datetime.timedelta(days=1)
_LOCK: Final = 7_306_086_967_071_405  # any constant of ours


def raise_alert(session: Session, rule: AlertRule, subject: str, detail: str) -> None:
    """In the transaction that found the trouble; who is told learns of it within a minute.

    Raised again while it lasts, it is the same alert. It ends after ``clear_alert``, or a day after it was raised last.
    ``subject`` and ``detail`` are shown to people: no secrets, no queries of URLs.
    """
    row = _new(session, rule, subject, detail, value=None, now=func.now())
    fresh = {name: row.excluded[name] for name in ("detail", "seen_at")}
    session.execute(row.on_conflict_do_update(**_FIRING, set_={**fresh, "clear_since": None}))


def clear_alert(session: Session, rule: AlertRule, subject: str) -> None:
    """The trouble is over; does nothing where there was none."""
    clear_alerts(session, (rule,), subject)


def clear_alerts(session: Session, rules: Collection[AlertRule], subject: str) -> None:
    """Of several rules, in the order in which who evaluates locks them."""
    over = select(Alert.id).where(
        Alert.rule.in_(rules),
        Alert.subject == printable(subject),
        Alert.state == AlertState.FIRING,
        Alert.clear_since.is_(None),
    )
    over = over.order_by(Alert.id).with_for_update()
    session.execute(update(Alert).where(Alert.id.in_(over)).values(clear_since=func.now()))


def start(
    session: Session, rule: AlertRule, subject: str, detail: str, value: float | None, now: datetime.datetime
) -> Alert | None:
    """A measured alert that nobody was told of yet; None if there is one already."""
    row = _new(session, rule, subject, detail, value=value, now=now)
    made = session.scalars(row.on_conflict_do_nothing(**_FIRING).returning(Alert))
    return made.one_or_none()


def lock_evaluation(session: Session) -> bool:
    """Until the transaction ends. False: somebody else is evaluating, and does it for all."""
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:id)"), {"id": _LOCK}))


def firing(session: Session, limit: int) -> Sequence[Alert]:
    """Oldest first; locked against who raises or clears them meanwhile."""
    query = select(Alert).where(Alert.state == AlertState.FIRING).order_by(Alert.id).limit(limit)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()


def printable(words: str) -> str:
    """On one line, without control characters, and not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


_FIRING: Final[dict[str, Any]] = {
    "index_elements": ["rule", "subject"],
    "index_where": text("state = 'firing'"),
}


def _new(session: Session, rule: AlertRule, subject: str, detail: str, *, value: float | None, now: Any) -> Any:
    subject = printable(subject)
    recent = select(func.count()).select_from(Alert).where(Alert.rule == rule, Alert.subject == subject)
    since = (now if now is not None else func.now()) - _RECURRING
    identity: uuid.UUID = new_id()
    return insert(Alert).values(
        id=identity,
        rule=rule,
        subject=subject,
        state=AlertState.FIRING,
        detail=printable(detail),
        value=value,
        started_at=now,
        seen_at=now,
        recurrence=recent.where(Alert.started_at > since).scalar_subquery(),
    )
