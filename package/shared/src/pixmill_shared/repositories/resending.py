"""Deliveries that are made by hand: an event sent once more, all that failed, a ping. Prepared SQL."""

import uuid
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import lanes
from pixmill_shared.repositories.receivers import left_alone_until
from pixmill_shared.repositories.work import WAKE_CHANNEL

# To where the endpoint is now. What is copied is of the event; attempts and times begin anew.
_COPY: Final = f"""
      INSERT INTO deliveries (id, project, queue, event_id, event_type, sequence, happened_at, data, job_id, api_key_id,
                              endpoint_id, url, run_at, replay_of)
      SELECT {{id}}, d.project, '{QueueName.NOTIFIER}', d.event_id, d.event_type, d.sequence, d.happened_at, d.data,
             d.job_id, d.api_key_id, d.endpoint_id, coalesce(e.url, d.url),
             {left_alone_until("coalesce(e.url, d.url)")}, d.id
      FROM {{origin}} d LEFT JOIN endpoints e ON e.id = d.endpoint_id
"""

_REPEAT = Prepared(
    f"""
    WITH made AS ({_COPY.format(id="$2", origin="deliveries")} WHERE d.id = $1 RETURNING id)
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM made
    """,
    *("uuid", "uuid"),
)

_ENDPOINT = Prepared(
    """
    SELECT e.disabled_at IS NOT NULL AS disabled
    FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id WHERE d.id = $1 FOR SHARE OF e
    """,
    "uuid",
)

# Ids sort by time, so the first half is that of the one that came with the call. Once each: what was repeated already
# is found by the repetition, which may have failed in its turn.
_RECOVER = Prepared(
    f"""
    WITH lost AS MATERIALIZED (
      SELECT d.* FROM deliveries d
      WHERE d.endpoint_id = $1 AND d.id >= $2 AND d.status IN ('failed', 'canceled')
        AND NOT EXISTS (SELECT FROM deliveries r WHERE r.replay_of = d.id)
      ORDER BY d.id LIMIT $3
    ),
    made AS (
      {_COPY.format(id="overlay(gen_random_uuid()::text PLACING left($4::text, 15) FROM 1)::uuid", origin="lost")}
      RETURNING id
    )
    SELECT count(*) AS made, pg_notify('{WAKE_CHANNEL}', '') FROM made
    """,
    *("uuid", "uuid", "bigint", "uuid"),
)

_PING = Prepared(
    f"""
    WITH made AS (
      INSERT INTO deliveries (id, project, queue, event_id, event_type, data, endpoint_id, url, run_at)
      SELECT $2, e.project, '{QueueName.NOTIFIER}', $3, '{EventType.PING}', $4, e.id, e.url, {left_alone_until("e.url")}
      FROM endpoints e WHERE e.id = $1
      RETURNING id
    )
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM made
    """,
    *("uuid", "uuid", "uuid", "jsonb"),
)

_HURRY = Prepared(
    f"""
    WITH lane AS (SELECT {lanes.reached("w.queue", "w.priority")} AS reached FROM deliveries w WHERE w.id = $1),
    due AS (
      UPDATE deliveries SET run_at = NULL, turn = greatest(turn, (SELECT reached FROM lane))
      WHERE id = $1 AND status = 'queued' RETURNING id
    )
    SELECT id, pg_notify('{WAKE_CHANNEL}', '') FROM due
    """,
    "uuid",
)


def repeat(session: Session, delivery_id: uuid.UUID) -> uuid.UUID | None:
    """The same event for the same receiver, from the first try on; None if there is no such delivery any more.

    A receiver sees the id of the event in both, and may know them for one.
    """
    repeated = new_id()
    return repeated if _REPEAT.run(session, delivery_id, repeated) else None


def has_disabled_endpoint(session: Session, delivery_id: uuid.UUID) -> bool:
    """What is repeated now would be left out. If not, it stays so until the transaction ends."""
    rows = _ENDPOINT.run(session, delivery_id)
    return bool(rows and rows[0]["disabled"])


def recover(session: Session, endpoint_id: uuid.UUID, since: uuid.UUID, limit: int) -> int:
    """Repeat what failed or was left out for the endpoint and has not been repeated, oldest first. How many.

    ``since``: the least id of the moment; see ``domain/ids.py``.
    """
    rows = _RECOVER.run(session, endpoint_id, since, limit, new_id())
    return int(rows[0]["made"]) if rows else 0


def ping(session: Session, endpoint_id: uuid.UUID, data: dict[str, Any]) -> uuid.UUID:
    """An event of its own for one endpoint; the id of its delivery."""
    delivery_id = new_id()
    _PING.run(session, endpoint_id, delivery_id, new_id(), data)
    return delivery_id


def hurry(session: Session, delivery_id: uuid.UUID) -> bool:
    """What waits for its next try is due at once. False: it does not wait."""
    return bool(_HURRY.run(session, delivery_id))
