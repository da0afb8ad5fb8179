"""Webhook deliveries on the hot path: claim and finish. Prepared SQL."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories.work import WAKE_CHANNEL, WorkTable

WORK: Final = WorkTable("deliveries", owner="w.project")


@dataclass(frozen=True)
class ClaimedDelivery:
    """What the notifier needs of the row and its event; ``webhook_secret`` is the API key's, encrypted."""

    id: uuid.UUID
    project: str
    fence: int
    attempts: int
    url: str
    job_id: uuid.UUID
    event_id: uuid.UUID
    event_type: str
    sequence: int
    happened_at: datetime.datetime
    webhook_secret: bytes | None


@dataclass(frozen=True)
class Try:
    """One HTTP try: a status code, or the sentence of an error."""

    status_code: int | None
    duration_ms: int
    error: str | None
    response_excerpt: str | None


_CLAIM = Prepared(
    """
    WITH claimed AS (
      UPDATE deliveries
      SET status = 'processing', fence = fence + 1, attempts = attempts + 1, claimed_by = $2,
          lease_until = clock_timestamp() + make_interval(secs => $3),
          started_at = coalesce(started_at, clock_timestamp()), dispatched_at = NULL, dispatches = 0
      WHERE id = $1 AND status = 'queued' AND run_at IS NULL
      RETURNING id, project, fence, attempts, url, job_id, event_id, api_key_id
    )
    SELECT c.id, c.project, c.fence, c.attempts, c.url, c.job_id, c.event_id, e.type AS event_type, e.sequence,
           e.at AS happened_at, k.webhook_secret
    FROM claimed c JOIN job_events e ON e.id = c.event_id LEFT JOIN api_keys k ON k.id = c.api_key_id
    """,
    *("uuid", "text", "double precision"),
)

# The attempt is recorded in the statement that ends the claim, under the same fence.
_END = Prepared(
    """
    WITH ended AS (
      UPDATE deliveries
      SET status = $3, error = $4, lease_until = NULL, claimed_by = NULL, queue = coalesce($5, queue),
          run_at = clock_timestamp() + make_interval(secs => $6),
          finished_at = CASE WHEN $3 = 'queued' THEN NULL ELSE clock_timestamp() END
      WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id, fence
    )
    INSERT INTO delivery_attempts (delivery_id, fence, status_code, duration_ms, error, response_excerpt)
    SELECT id, fence, $7, $8, $9, $10 FROM ended RETURNING delivery_id
    """,
    *("uuid", "bigint", "text", "jsonb", "text", "double precision", "int", "int", "text", "text"),
)

_ABANDON = Prepared(
    """
    UPDATE deliveries SET status = 'failed', error = $3, lease_until = NULL, finished_at = clock_timestamp()
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id, project, attempts
    """,
    *("uuid", "bigint", "jsonb"),
)

_REPEAT = Prepared(
    f"""
    WITH made AS (
      INSERT INTO deliveries (id, project, queue, event_id, job_id, api_key_id, url, replay_of)
      SELECT $2, project, '{QueueName.NOTIFIER}', event_id, job_id, api_key_id, url, id FROM deliveries WHERE id = $1
      RETURNING id
    )
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM made
    """,
    *("uuid", "uuid"),
)


def claim(session: Session, delivery_id: uuid.UUID, worker: str, lease: float) -> ClaimedDelivery | None:
    """Compare-and-set. None: someone else has it, it is finished, or it is not due; return silently."""
    rows = _CLAIM.run(session, delivery_id, worker, lease)
    if not rows:
        return None
    secret = rows[0].pop("webhook_secret")
    return ClaimedDelivery(**rows[0], webhook_secret=bytes(secret) if secret is not None else None)


def delivered(session: Session, delivery: ClaimedDelivery, attempt: Try) -> bool:
    """The receiver answered 2xx. False: the claim was lost."""
    return _end(session, delivery, "completed", attempt)


def failed(session: Session, delivery: ClaimedDelivery, attempt: Try, error: dict[str, Any]) -> bool:
    """No further try. False: the claim was lost."""
    return _end(session, delivery, "failed", attempt, error=error)


def again(session: Session, delivery: ClaimedDelivery, attempt: Try, error: dict[str, Any], delay: float) -> bool:
    """Another try after ``delay`` seconds, on the queue where a dead receiver delays no fresh delivery."""
    return _end(session, delivery, "queued", attempt, error=error, queue=QueueName.NOTIFIER_RETRY, delay=delay)


def abandon(session: Session, delivery_id: uuid.UUID, fence: int, error: dict[str, Any]) -> bool:
    """The process that delivered died each time."""
    return bool(_ABANDON.run(session, delivery_id, fence, error))


def repeat(session: Session, delivery_id: uuid.UUID) -> uuid.UUID | None:
    """The same event for the same receiver, from the first try on; None if there is no such delivery any more.

    A receiver sees the id of the event in both, and may know them for one.
    """
    repeated = new_id()
    return repeated if _REPEAT.run(session, delivery_id, repeated) else None


def _end(
    session: Session,
    delivery: ClaimedDelivery,
    status: str,
    attempt: Try,
    *,
    error: dict[str, Any] | None = None,
    queue: QueueName | None = None,
    delay: float | None = None,
) -> bool:
    rows = _END.run(
        session,
        *(delivery.id, delivery.fence, status, error, queue, delay),
        *(attempt.status_code, attempt.duration_ms, attempt.error, attempt.response_excerpt),
    )
    return bool(rows)
