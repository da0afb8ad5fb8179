"""How services are. SQLAlchemy."""

import datetime
from collections.abc import Sequence
from typing import Final

from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.database.models import ServiceHealth

HEARTBEAT: Final = "heartbeat"
"""The chain of beat, broker, worker and database, which shows itself by each tick that comes through."""

HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"

UNKNOWN: Final = "unknown"
STALE_AFTER: Final = 900.0
"""Seconds since the last check after which nobody knows how a service is."""
FORGET_AFTER: Final = datetime.timedelta(days=1)
"""A service that nobody has checked for so long is none any more."""


def seen(session: Session, service: str) -> None:
    """It is well: whoever calls this is the proof."""
    record(session, service, healthy=True)


def record(
    session: Session,
    service: str,
    *,
    healthy: bool,
    status_code: int | None = None,
    response_ms: int | None = None,
    error: str | None = None,
) -> bool:
    """Write down a check, by the database's clock. Whether the service's state is another one than before."""
    row = insert(ServiceHealth).values(
        service=service,
        status=HEALTHY if healthy else UNHEALTHY,
        failures=0 if healthy else 1,
        status_code=status_code,
        response_ms=response_ms,
        error=error,
        since=func.now(),
        checked_at=func.now(),
    )
    new = row.excluded
    update = row.on_conflict_do_update(
        index_elements=["service"],
        set_={
            **{name: new[name] for name in ("status", "status_code", "response_ms", "error", "checked_at")},
            "since": case((ServiceHealth.status == new.status, ServiceHealth.since), else_=func.now()),
            "failures": case((new.failures == 0, 0), else_=ServiceHealth.failures + 1),
        },
    )
    return bool(session.scalar(update.returning(ServiceHealth.since == func.now())))


def forget(session: Session) -> None:
    """Services that are not checked any more go."""
    session.execute(delete(ServiceHealth).where(ServiceHealth.checked_at < func.now() - FORGET_AFTER))


def everyone(session: Session) -> Sequence[tuple[ServiceHealth, float]]:
    """By name, each with the seconds since it was checked."""
    age = func.extract("epoch", func.clock_timestamp() - ServiceHealth.checked_at)
    return [
        (row[0], float(row[1])) for row in session.execute(select(ServiceHealth, age).order_by(ServiceHealth.service))
    ]


def status_at(row: ServiceHealth, age: float) -> str:
    """How a service is that was checked ``age`` seconds ago."""
    return row.status if age < STALE_AFTER else UNKNOWN
