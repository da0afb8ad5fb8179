"""Messages to the channels of the people who run pixmill: an outbox. Claim and finish are prepared SQL."""

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import MessageKind
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.models import AlertMessage
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories.work import WAKE_CHANNEL, WorkTable

WORK: Final = WorkTable("alert_messages", owner="w.project")


@dataclass(frozen=True)
class ClaimedMessage:
    """``id`` stays the same over all tries: a channel that can tells repeats by it."""

    id: uuid.UUID
    fence: int
    attempts: int
    channel: str
    kind: str
    body: dict[str, Any]
    created_at: datetime.datetime


_CLAIM = Prepared(
    """
    UPDATE alert_messages
    SET status = 'processing', fence = fence + 1, attempts = attempts + 1, claimed_by = $2,
        lease_until = clock_timestamp() + make_interval(secs => $3),
        started_at = coalesce(started_at, clock_timestamp()), dispatched_at = NULL, dispatches = 0
    WHERE id = $1 AND status = 'queued' AND run_at IS NULL
    RETURNING id, fence, attempts, channel, kind, body, created_at
    """,
    *("uuid", "text", "double precision"),
)

_END = Prepared(
    """
    UPDATE alert_messages
    SET status = $3, error = $4, lease_until = NULL, claimed_by = NULL,
        run_at = clock_timestamp() + make_interval(secs => $5),
        finished_at = CASE WHEN $3 = 'queued' THEN NULL ELSE clock_timestamp() END
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    """,
    *("uuid", "bigint", "text", "jsonb", "double precision"),
)


def enqueue(
    session: Session, channels: Iterable[str], kind: MessageKind, body: dict[str, Any]
) -> tuple[uuid.UUID, ...]:
    """One message for each channel; their ids. The dispatcher is told when the transaction commits."""
    made = [
        AlertMessage(id=new_id(), queue=QueueName.NOTIFIER_ALERTS, channel=channel, kind=kind, body=body)
        for channel in channels
    ]
    session.add_all(made)
    session.flush()
    session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": WAKE_CHANNEL})
    return tuple(each.id for each in made)


def repeat(session: Session, message_id: uuid.UUID) -> uuid.UUID | None:
    """The same message for the same channel, from the first try on; None if there is no such message any more."""
    row = session.get(AlertMessage, message_id)
    if row is None:
        return None
    (made,) = enqueue(session, (row.channel,), MessageKind(row.kind), row.body)
    return made


def claim(session: Session, message_id: uuid.UUID, worker: str, lease: float) -> ClaimedMessage | None:
    """Compare-and-set. None: someone else has it, it is sent, or it is not due; return silently."""
    rows = _CLAIM.run(session, message_id, worker, lease)
    return ClaimedMessage(**rows[0]) if rows else None


def sent(session: Session, message_id: uuid.UUID, fence: int) -> bool:
    """The channel took it. False: the claim was lost."""
    return bool(_END.run(session, message_id, fence, "completed", None, None))


def again(session: Session, message_id: uuid.UUID, fence: int, error: dict[str, Any], delay: float) -> bool:
    """Another try after ``delay`` seconds. False: the claim was lost."""
    return bool(_END.run(session, message_id, fence, "queued", error, delay))


def failed(session: Session, message_id: uuid.UUID, fence: int, error: dict[str, Any]) -> bool:
    """No further try. False: the claim was lost."""
    return bool(_END.run(session, message_id, fence, "failed", error, None))
