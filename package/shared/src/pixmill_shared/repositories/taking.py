"""The statements that take due rows: for a broker, within a window, or for whoever works on them at once."""

from typing import Final

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories.lanes import LANES, PUBLISHED, READY

_LOCKED: Final = 100
"""Rows more than there is room for that are looked at, since somebody else may have locked some."""
_LOOK: Final = 1_000
"""Rows of a lane, from where it is, among which those are looked for that are small enough."""


def take_within_window(table: str, stage: str, *, counts_claimed: bool) -> Prepared:
    """Of queues $1, looking $2 rows back, at most $3 published rows a queue; ``counts_claimed``: or claimed ones."""
    claimed = f"""(
            SELECT count(*) FROM {table} w
            WHERE w.queue = lane.queue AND w.status = 'processing' AND w.lease_until IS NOT NULL
          )"""
    # A queue holds at most a window of published, unclaimed rows; the rest of the backlog stays here. Neither those nor
    # the next ones are looked for where thousands of rows have been before: an old snapshot keeps all their entries.
    return Prepared(
        f"""
        WITH {LANES},
        room AS (
          SELECT lane.queue, greatest($3 - sum(held.rows){f" - {claimed}" if counts_claimed else ""}, 0)::bigint AS rows
          FROM lane CROSS JOIN LATERAL (
            SELECT count(*) AS rows FROM {table} w
            WHERE w.queue = lane.queue AND w.priority = lane.priority AND {PUBLISHED}
              AND w.dispatch_number > lane.number - $2
          ) AS held
          GROUP BY lane.queue
        ),
        picked AS (
          SELECT lane.queue, lane.priority, lane.number, lane.turn AS reached, room.rows AS room, next.id, next.turn
          FROM lane JOIN room USING (queue) CROSS JOIN LATERAL (
            SELECT w.id, w.turn FROM {table} w
            WHERE w.queue = lane.queue AND w.priority = lane.priority AND {READY} AND w.turn >= lane.floor
            ORDER BY w.turn, w.id LIMIT room.rows FOR NO KEY UPDATE SKIP LOCKED
          ) AS next
        ),
        {_marked(table, stage, place="PARTITION BY queue ORDER BY priority, turn, id", room="room", turn="max(turn)")}
        """,
        *("text[]", "bigint", "bigint"),
    )


def take_now(table: str, stage: str, size: str) -> Prepared:
    """Of queues $1, the first of them first, looking $2 rows back, $3 rows in all; of which ``size`` is at most $4,
    if that is not NULL, or is not known.
    """
    # Rows that are passed by for their size keep their place: the turn that the lane has reached is not moved on.
    return Prepared(
        f"""
        WITH {LANES},
        picked AS (
          SELECT lane.queue, lane.priority, lane.number, lane.turn AS reached, next.id, next.turn
          FROM lane CROSS JOIN LATERAL (
            SELECT w.id, w.turn FROM {table} w
            WHERE {READY} AND w.id = ANY(ARRAY(
              SELECT w.id FROM (
                SELECT w.* FROM {table} w
                WHERE w.queue = lane.queue AND w.priority = lane.priority AND {READY} AND w.turn >= lane.floor
                ORDER BY w.turn, w.id LIMIT CASE WHEN $4 IS NULL THEN $3 + {_LOCKED} ELSE {_LOOK} END
              ) AS w
              WHERE $4 IS NULL OR coalesce({size}, 0) <= $4
              ORDER BY w.turn, w.id LIMIT $3 + {_LOCKED}
            ))
            ORDER BY w.turn, w.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
          ) AS next
        ),
        {
            _marked(
                table,
                stage,
                place="ORDER BY array_position($1, queue), priority, turn, id",
                room="$3",
                turn="CASE WHEN $4 IS NULL THEN max(turn) ELSE 0 END",
            )
        }
        """,
        *("text[]", "bigint", "bigint", "bigint"),
    )


def under_way(table: str) -> Prepared:
    """How many rows of queues $1 are published or claimed."""
    return Prepared(
        f"""
        SELECT (SELECT count(*) FROM {table} w WHERE w.queue = ANY($1) AND {PUBLISHED})
             + (SELECT count(*) FROM {table} w
                WHERE w.queue = ANY($1) AND w.status = 'processing' AND w.lease_until IS NOT NULL) AS rows
        """,
        "text[]",
    )


def _marked(table: str, stage: str, *, place: str, room: str, turn: str) -> str:
    """From ``picked`` to the rows: those whose ``place`` is within ``room`` are published as far as anyone can see."""
    return f"""
        placed AS (
          SELECT *, row_number() OVER ({place}) AS place,
                 number + row_number() OVER (PARTITION BY queue, priority ORDER BY turn, id) AS dispatch_number
          FROM picked
        ),
        due AS MATERIALIZED (SELECT * FROM placed WHERE place <= {room}),
        marked AS (
          INSERT INTO dispatch_marks (queue, priority, number, turn)
          SELECT queue, priority, max(dispatch_number), greatest({turn}, max(reached))
          FROM due GROUP BY queue, priority
        )
        UPDATE {table} w
        SET dispatched_at = clock_timestamp(), dispatches = dispatches + 1, dispatch_number = due.dispatch_number
        FROM due WHERE w.id = due.id AND w.id = ANY(ARRAY(SELECT id FROM due))
        RETURNING w.id, w.queue, w.priority, w.dispatch_number, due.place, {stage} AS stage
    """
