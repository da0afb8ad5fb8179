"""Endpoints and deliveries as they are shown and changed. SQLAlchemy: rare by nature."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from pixmill_shared.database.models import Delivery, DeliveryAttempt, Endpoint, EndpointSecret
from pixmill_shared.domain.jobs import JobStatus

_LOCK: Final = 7_306_086_967_071_406  # any constant of ours


@dataclass(frozen=True)
class WhichDeliveries:
    """Of one project; None: whichever."""

    project: str
    endpoint_id: uuid.UUID | None = None
    job_id: uuid.UUID | None = None
    status: JobStatus | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [Delivery.project == self.project]
        if self.endpoint_id is not None:
            found.append(Delivery.endpoint_id == self.endpoint_id)
        if self.job_id is not None:
            found.append(Delivery.job_id == self.job_id)
        if self.status is not None:
            found.append(Delivery.status == self.status)
        return found


def count_endpoints(session: Session, project: str) -> int:
    """Nobody adds one to any project until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    return session.scalar(select(func.count()).select_from(Endpoint).where(Endpoint.project == project)) or 0


def find_endpoint(session: Session, project: str, endpoint_id: uuid.UUID, *, lock: bool = False) -> Endpoint | None:
    """None also for another project's. ``lock``: until the transaction ends."""
    query = select(Endpoint).where(Endpoint.id == endpoint_id, Endpoint.project == project)
    return session.scalar(query.with_for_update() if lock else query)


def page_of_endpoints(session: Session, project: str, *, limit: int, before: uuid.UUID | None) -> Sequence[Endpoint]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(Endpoint).where(Endpoint.project == project)
    if before is not None:
        query = query.where(Endpoint.id < before)
    return session.scalars(query.order_by(Endpoint.id.desc()).limit(limit + 1)).all()


def count_secrets(session: Session, endpoint_id: uuid.UUID) -> int:
    """Those that sign now."""
    valid = or_(EndpointSecret.expires_at.is_(None), EndpointSecret.expires_at > func.clock_timestamp())
    query = select(func.count()).select_from(EndpointSecret).where(EndpointSecret.endpoint_id == endpoint_id, valid)
    return session.scalar(query) or 0


def expire_secret(session: Session, endpoint_id: uuid.UUID, seconds: float) -> datetime.datetime | None:
    """The current secret signs for so many ``seconds`` more; until when."""
    current = (EndpointSecret.endpoint_id == endpoint_id, EndpointSecret.expires_at.is_(None))
    until = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    expiring = update(EndpointSecret).where(*current).values(expires_at=until).returning(EndpointSecret.expires_at)
    return session.scalar(expiring.execution_options(synchronize_session=False))


def redirect_waiting(session: Session, endpoint: Endpoint) -> None:
    """What waits for its next try goes to where the endpoint is now."""
    waiting = (Delivery.endpoint_id == endpoint.id, Delivery.status == JobStatus.QUEUED)
    redirected = update(Delivery).where(*waiting).values(url=endpoint.url)
    session.execute(redirected.execution_options(synchronize_session=False))


def find_delivery(session: Session, project: str, delivery_id: uuid.UUID, *, lock: bool = False) -> Delivery | None:
    """None also for another project's."""
    query = select(Delivery).where(Delivery.id == delivery_id, Delivery.project == project)
    return session.scalar(query.with_for_update() if lock else query)


def page_of_deliveries(
    session: Session, which: WhichDeliveries, *, limit: int, before: uuid.UUID | None
) -> Sequence[Delivery]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(Delivery).where(*which.conditions())
    if before is not None:
        query = query.where(Delivery.id < before)
    return session.scalars(query.order_by(Delivery.id.desc()).limit(limit + 1)).all()


def attempts_of_all(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[DeliveryAttempt]]:
    """By delivery, in their order."""
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(ids)).order_by(DeliveryAttempt.fence)
    found: dict[uuid.UUID, list[DeliveryAttempt]] = defaultdict(list)
    for row in session.scalars(query):
        found[row.delivery_id].append(row)
    return found
