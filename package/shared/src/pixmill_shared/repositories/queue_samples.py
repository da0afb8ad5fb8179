"""How much work waited in each queue, and for how long, every half minute. Prepared SQL.

Alerts and the dashboard read the last ones; the retention of old samples is the daily cleanup's.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories.waiting import Waiting

# A row's age counts from when it was made: one that is tried again after an hour would seem to have waited for an hour.
# But what waits now has waited since the last sample at the longest, and before that no longer than that one says.
_INSERT: Final = Prepared(
    """
    INSERT INTO queue_samples (queue, at, depth, oldest_seconds)
    SELECT n.queue, statement_timestamp(), n.depth, CASE WHEN n.depth > 0 THEN least(n.oldest, before.oldest) END
    FROM unnest($1, $2, $3) AS n(queue, depth, oldest)
    LEFT JOIN LATERAL (
      SELECT coalesce(s.oldest_seconds, 0)
             + greatest(extract(epoch FROM statement_timestamp() - s.at), 0)::float8 AS oldest
      FROM queue_samples s WHERE s.queue = n.queue ORDER BY s.at DESC LIMIT 1
    ) AS before ON true
    ON CONFLICT DO NOTHING
    """,
    *("text[]", "bigint[]", "double precision[]"),
)


def insert(session: Session, found: Mapping[str, Waiting]) -> None:
    """One sample for each queue, of this moment."""
    waiting = found.values()
    _INSERT.run(session, list(found), [each.rows for each in waiting], [each.oldest for each in waiting])
