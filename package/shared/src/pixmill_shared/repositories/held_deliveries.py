"""Deliveries that are due and may not be sent now: put off, given up, or left out. Prepared SQL."""

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared

_HELD_AT_ONCE: Final = 500
_EXPIRED_AT_ONCE: Final = 100

# Of a receiver that is left alone, all that waits for it is put off together: many rows, one message.
_HOLD = Prepared(
    f"""
    WITH waiting AS MATERIALIZED (
      SELECT d.id, r.retry_at FROM receivers r JOIN deliveries d ON d.host = r.host
      WHERE r.host = (SELECT host FROM deliveries WHERE id = $1) AND r.retry_at > clock_timestamp()
        AND d.status = 'queued' AND d.run_at IS NULL
      LIMIT {_HELD_AT_ONCE} FOR NO KEY UPDATE OF d SKIP LOCKED
    )
    UPDATE deliveries d
    SET run_at = waiting.retry_at, dispatched_at = NULL, dispatches = 0, queue = '{QueueName.NOTIFIER_RETRY}'
    FROM waiting WHERE d.id = waiting.id AND d.id = ANY(ARRAY(SELECT id FROM waiting))
    RETURNING d.id
    """,
    "uuid",
)

_EXPIRE = Prepared(
    f"""
    WITH old AS MATERIALIZED (
      SELECT d.id FROM receivers r JOIN deliveries d ON d.host = r.host
      WHERE r.host = (SELECT host FROM deliveries WHERE id = $1) AND r.retry_at > clock_timestamp()
        AND d.status = 'queued' AND d.run_at IS NULL
        AND d.created_at < clock_timestamp() - make_interval(secs => $2)
      LIMIT {_EXPIRED_AT_ONCE} FOR NO KEY UPDATE OF d SKIP LOCKED
    )
    UPDATE deliveries d
    SET status = 'failed', error = jsonb_build_object('detail', $3::text), finished_at = clock_timestamp(),
        dispatched_at = NULL
    FROM old WHERE d.id = old.id AND d.id = ANY(ARRAY(SELECT id FROM old))
    RETURNING d.id, d.project, d.attempts, d.endpoint_id, d.host
    """,
    *("uuid", "double precision", "text"),
)

_SKIP = Prepared(
    """
    UPDATE deliveries d
    SET status = 'canceled', error = jsonb_build_object('detail', $2::text), finished_at = clock_timestamp(),
        dispatched_at = NULL
    FROM endpoints e
    WHERE d.id = $1 AND d.status = 'queued' AND d.run_at IS NULL
      AND e.id = d.endpoint_id AND e.disabled_at IS NOT NULL
    RETURNING d.id
    """,
    *("uuid", "text"),
)

_HOST_OF_READY = Prepared(
    "SELECT host FROM deliveries WHERE id = $1 AND status = 'queued' AND run_at IS NULL FOR NO KEY UPDATE SKIP LOCKED",
    "uuid",
)

_PUT_OFF = Prepared(
    f"""
    UPDATE deliveries
    SET run_at = clock_timestamp() + make_interval(secs => $2), dispatched_at = NULL, dispatches = 0,
        queue = '{QueueName.NOTIFIER_RETRY}'
    WHERE id = $1 AND status = 'queued' AND run_at IS NULL
    """,
    *("uuid", "double precision"),
)


def put_aside(session: Session, delivery_id: uuid.UUID) -> int:
    """For what could not be claimed: of a disabled endpoint it ends as ``canceled``; of a receiver that is left alone
    it waits, with others, until that is tried again. How many rows that were; none if there is another reason.
    """
    if _SKIP.run(session, delivery_id, "The endpoint is disabled: nothing is sent to it."):
        return 1
    return len(_HOLD.run(session, delivery_id))


@dataclass(frozen=True)
class Expired:
    """A delivery that was given up while its receiver was left alone."""

    id: uuid.UUID
    project: str
    attempts: int
    endpoint_id: uuid.UUID | None
    host: str


def expire(session: Session, delivery_id: uuid.UUID, age: float, why: str) -> list[Expired]:
    """Of what waits for the same receiver, which is left alone: what is older than ``age`` seconds has failed.

    Many wait for the one try at a time that such a receiver gets, so they would not use up theirs for months.
    """
    return [Expired(**row) for row in _EXPIRE.run(session, delivery_id, age, why)]


def host_of_ready(session: Session, delivery_id: uuid.UUID) -> str | None:
    """Of a delivery that is due and not claimed; locked."""
    rows = _HOST_OF_READY.run(session, delivery_id)
    return rows[0]["host"] if rows else None


def put_off(session: Session, delivery_id: uuid.UUID, delay: float) -> None:
    """What is due and not claimed is due after ``delay`` seconds."""
    _PUT_OFF.run(session, delivery_id, delay)
