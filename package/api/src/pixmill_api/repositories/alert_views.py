"""Alerts as the API shows them. SQLAlchemy."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import AlertState
from pixmill_shared.database.models import Alert


def page(session: Session, *, limit: int, before: uuid.UUID | None, state: AlertState | None) -> Sequence[Alert]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(Alert)
    if before is not None:
        query = query.where(Alert.id < before)
    if state is not None:
        query = query.where(Alert.state == state)
    return session.scalars(query.order_by(Alert.id.desc()).limit(limit + 1)).all()
