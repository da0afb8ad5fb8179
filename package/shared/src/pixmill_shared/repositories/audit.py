"""The audit: what people with the rights of an administrator did. SQLAlchemy.

A record is written in the transaction of what it tells of, so there are both or neither.
"""

import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.database.models import AuditRecord
from pixmill_shared.domain.ids import new_id


class Action(StrEnum):
    """In rows; never renamed."""

    KEY_CREATED = "key.created"
    KEY_CHANGED = "key.changed"
    KEY_REVOKED = "key.revoked"
    KEY_ROTATED = "key.rotated"
    KEY_EXPIRED = "key.expired"
    DEAD_LETTER_REPLAYED = "dead_letter.replayed"
    ENDPOINT_CREATED = "endpoint.created"
    ENDPOINT_CHANGED = "endpoint.changed"
    ENDPOINT_DELETED = "endpoint.deleted"
    ENDPOINT_ROTATED = "endpoint.rotated"
    PRESET_PUT = "preset.put"
    PRESET_DELETED = "preset.deleted"
    PIPELINE_CREATED = "pipeline.created"
    PIPELINE_CHANGED = "pipeline.changed"
    PIPELINE_DELETED = "pipeline.deleted"
    TASK_STARTED = "task.started"
    SCHEDULE_CHANGED = "schedule.changed"


def record(
    session: Session,
    action: Action,
    target: object,
    *,
    project: str | None,
    actor: str,
    detail: dict[str, Any] | None = None,
    request_id: str | None = None,
) -> None:
    """In the session's transaction. ``target``: the id or name of what was acted upon, as clients know it; ``actor``:
    ``Caller.name``, or user and host of a command; ``project`` None: it concerns the whole installation.

    ``detail`` is shown to administrators: no secrets.
    """
    session.add(
        AuditRecord(
            id=new_id(),
            project=project,
            actor=actor,
            action=str(action),
            target=str(target),
            detail=detail or {},
            request_id=request_id,
        )
    )


def page(session: Session, project: str, *, limit: int, before: uuid.UUID | None) -> Sequence[AuditRecord]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(AuditRecord).where(AuditRecord.project == project)
    if before is not None:
        query = query.where(AuditRecord.id < before)
    return session.scalars(query.order_by(AuditRecord.id.desc()).limit(limit + 1)).all()
