"""Receivers of webhooks that do not answer: a clause for statements that make deliveries, and what the clean-up does.

The rows of ``receivers`` are written by the notifier. Prepared SQL.
"""

from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

_FORGET_OLD: Final = Prepared(
    """
    DELETE FROM receivers WHERE host = ANY(ARRAY(
      SELECT host FROM receivers WHERE asked_at < clock_timestamp() - interval '7 days'
      LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING host
    """,
    "bigint",
)


def forget_old(session: Session, limit: int) -> int:
    """Remove at most ``limit`` that nobody asked for a week: their events have ended, or their endpoints are gone. How
    many. One that is still away is known again after a few tries.
    """
    return len(_FORGET_OLD.run(session, limit))


def host_of(url: str) -> str:
    """SQL for the ``host`` of a delivery to ``url``, which is SQL: the column is made of the delivery's own."""
    return f"lower(substring({url}, '^[^:]+://([^/?#]+)'::text))"


def left_alone_until(url: str) -> str:
    """When a delivery to ``url``, which is SQL, is due: NULL for at once. Of a dead receiver nothing is published."""
    return f"""(
      SELECT r.retry_at FROM receivers r
      WHERE r.host = {host_of(url)} AND r.retry_at > clock_timestamp()
    )"""
