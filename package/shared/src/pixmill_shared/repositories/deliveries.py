"""Webhook deliveries on the hot path: claim, hold back, finish. Prepared SQL."""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.alerts import AlertRule, AlertState
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories.receivers import host_of
from pixmill_shared.repositories.work import WorkTable

WORK: Final = WorkTable("deliveries", owner="w.project")


@dataclass(frozen=True)
class ClaimedDelivery:
    """What the notifier needs of the row. Secrets and headers are encrypted: the API key's, with the former one while
    it signs too, and the endpoint's, newest first, where there is an endpoint.
    """

    id: uuid.UUID
    project: str
    fence: int
    attempts: int
    url: str
    host: str
    job_id: uuid.UUID | None
    event_id: uuid.UUID
    event_type: str
    sequence: int | None
    happened_at: datetime.datetime
    data: dict[str, Any] | None
    webhook_secret: bytes | None
    former_secret: bytes | None
    endpoint_id: uuid.UUID | None
    endpoint_secrets: tuple[bytes, ...]
    endpoint_headers: bytes | None
    #: The endpoint's last tries did not get through.
    endpoint_failing: bool
    #: There is a row of ``receivers`` for its host, and this is the one try that finds out whether it is back.
    receiver_known: bool
    probe: bool
    #: An alert tells of what was given up for its receiver.
    alarmed: bool
    #: Of the request that made the job or the batch.
    request_id: str | None


@dataclass(frozen=True)
class Try:
    """One HTTP try: a status code, or the sentence of an error."""

    status_code: int | None
    duration_ms: int
    error: str | None
    response_excerpt: str | None


# To a receiver that was left alone for a while one try goes at a time: whoever moves its time on may make it. The
# subject of an alert is that of ``service/exhaustion.py``. An endpoint is asked where it is now: it may have moved
# during a claim that was handed back or ran out.
_HOST: Final = host_of("coalesce(e.url, d.url)")
_CLAIM = Prepared(
    f"""
    WITH wanted AS (
      SELECT coalesce(e.url, d.url) AS url, {_HOST} AS host
      FROM deliveries d LEFT JOIN endpoints e ON e.id = d.endpoint_id
      WHERE d.id = $1 AND d.status = 'queued' AND d.run_at IS NULL AND e.disabled_at IS NULL
        AND ({_HOST} = ANY($4)) IS NOT TRUE
    ),
    probe AS (
      UPDATE receivers r SET retry_at = clock_timestamp() + make_interval(secs => $3)
      FROM wanted WHERE r.host = wanted.host AND r.retry_at <= clock_timestamp()
      RETURNING r.host
    ),
    claimed AS (
      UPDATE deliveries d
      SET status = 'processing', fence = fence + 1, attempts = attempts + 1, claimed_by = $2,
          lease_until = clock_timestamp() + make_interval(secs => $3), url = (SELECT url FROM wanted),
          started_at = coalesce(started_at, clock_timestamp()), dispatched_at = NULL, dispatches = 0
      WHERE id = $1 AND status = 'queued' AND run_at IS NULL AND EXISTS (SELECT FROM wanted)
        AND (EXISTS (SELECT FROM probe)
             OR NOT EXISTS (SELECT FROM receivers r JOIN wanted ON r.host = wanted.host WHERE r.retry_at IS NOT NULL))
      RETURNING id, project, fence, attempts, url, host, job_id, event_id, event_type, sequence, happened_at, data,
                endpoint_id, api_key_id
    )
    SELECT c.id, c.project, c.fence, c.attempts, c.url, coalesce(c.host, '') AS host, c.job_id, c.event_id,
           c.event_type, c.sequence, c.happened_at, c.data, c.endpoint_id, k.webhook_secret,
           CASE WHEN k.former_secret_expires_at > clock_timestamp() THEN k.former_secret END AS former_secret,
           e.headers AS endpoint_headers, e.failing_since IS NOT NULL AS endpoint_failing,
           (SELECT string_agg(convert_from(s.secret, 'UTF8'), ' ' ORDER BY s.id DESC) FROM endpoint_secrets s
            WHERE s.endpoint_id = c.endpoint_id AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
           ) AS endpoint_secrets,
           EXISTS (SELECT FROM receivers r WHERE r.host = c.host) AS receiver_known,
           EXISTS (SELECT FROM probe) AS probe,
           EXISTS (SELECT FROM alerts a
                   WHERE a.rule = '{AlertRule.DELIVERIES_EXHAUSTED}' AND a.state = '{AlertState.FIRING}'
                     AND a.subject = coalesce('endpoint ' || c.endpoint_id, 'receiver ' || c.host, 'receiver unknown')
                     AND a.clear_since IS NULL) AS alarmed,
           coalesce((SELECT request_id FROM jobs WHERE id = c.job_id),
                    (SELECT request_id FROM batches WHERE id = (c.data ->> 'batch_id')::uuid)) AS request_id
    FROM claimed c LEFT JOIN api_keys k ON k.id = c.api_key_id LEFT JOIN endpoints e ON e.id = c.endpoint_id
    """,
    *("uuid", "text", "double precision", "text[]"),
)

# An endpoint that moved during the try is asked at its new place next.
_PLACE: Final = "SELECT e.url FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id WHERE d.id = $1"

_LATER = Prepared(
    f"""
    WITH place AS ({_PLACE})
    UPDATE deliveries
    SET status = 'queued', url = coalesce((SELECT url FROM place), url), attempts = greatest(attempts - 1, 0),
        lease_until = NULL, claimed_by = NULL, run_at = clock_timestamp() + make_interval(secs => $3),
        queue = '{QueueName.NOTIFIER_RETRY}'
    WHERE id = $1 AND fence = $2 AND status = 'processing' RETURNING id
    """,
    *("uuid", "bigint", "double precision"),
)

# The attempt is recorded in the statement that ends the claim, under the same fence.
_END = Prepared(
    f"""
    WITH place AS ({_PLACE}),
    ended AS (
      UPDATE deliveries
      SET status = $3, error = $4, lease_until = NULL, claimed_by = NULL, queue = coalesce($5, queue),
          url = CASE WHEN $3 = 'queued' THEN coalesce((SELECT url FROM place), url) ELSE url END,
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


def claim(
    session: Session, delivery_id: uuid.UUID, worker: str, lease: float, busy: Sequence[str] = ()
) -> ClaimedDelivery | None:
    """Compare-and-set. None: someone else has it, it is finished, it is not due, its host is among the ``busy`` ones,
    or it may not be sent now; see ``held_deliveries.put_aside`` for the last.
    """
    rows = _CLAIM.run(session, delivery_id, worker, lease, list(busy))
    if not rows:
        return None
    row = rows[0]
    row["endpoint_secrets"] = tuple((row["endpoint_secrets"] or "").encode().split())
    for sealed in ("webhook_secret", "former_secret", "endpoint_headers"):
        row[sealed] = bytes(row[sealed]) if row[sealed] is not None else None
    return ClaimedDelivery(**row)


def later(session: Session, delivery: ClaimedDelivery, delay: float) -> bool:
    """The claim was no attempt; due after ``delay`` seconds. False: the claim was lost."""
    return bool(_LATER.run(session, delivery.id, delivery.fence, delay))


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
