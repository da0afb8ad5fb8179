"""Turns: the order in which owners are served within a lane, which is a queue and a priority. Clauses of SQL.

An owner is a project or a batch. A row's turn is one more than its owner's last turn or the turn that the lane has
reached, whichever is later, so owners alternate and nobody saves up turns by being idle. The owner's last turn is read
from its rows that wait. Nothing is locked: rows that are committed in the same moment may have the same turn.

What the lane has reached is written anew at each pass (``dispatch_marks``) and read from the end of an index. A row
that is updated instead costs all its old versions at each look as long as somebody holds an old snapshot: a backup.
"""

from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import Priority
from pixmill_shared.database.prepared import Prepared

READY: Final = "w.status = 'queued' AND w.dispatched_at IS NULL AND w.run_at IS NULL"
PUBLISHED: Final = "w.status = 'queued' AND w.dispatched_at IS NOT NULL"

LOOK_BACK: Final = 4
"""Windows: so many published rows behind the last one a pass looks, for what was committed late."""

_LONGEST_SILENCE: Final = 15_000
"""Milliseconds. A dispatcher that stops in mid-pass is cut off, so that another one may publish into its queues."""


def owner_of(project: str) -> str:
    """The owner of what a project submits one by one."""
    return f"project:{project}"


def reached(queue: str, priority: str) -> str:
    """The turn that was dispatched last. ``queue`` and ``priority`` are SQL."""
    return f"""coalesce((
      SELECT m.turn FROM dispatch_marks m WHERE m.queue = {queue} AND m.priority = {priority}
      ORDER BY m.number DESC LIMIT 1
    ), 0)"""


def next_turn(queue: str, priority: str, owner: str) -> str:
    """The turn of one more job of ``owner``; the n-th of several that are inserted at once has n - 1 more.

    OFFSET 0 keeps the planner from asking for the lane twice.
    """
    return f"""(
      SELECT 1 + coalesce((
        SELECT w.turn FROM jobs w
        WHERE w.queue = {queue} AND w.priority = {priority} AND w.owner = {owner} AND {READY} AND w.turn > lane.turn
        ORDER BY w.turn DESC LIMIT 1
      ), lane.turn)
      FROM (SELECT {reached(queue, priority)} AS turn OFFSET 0) AS lane
    )"""


def again(rows: str) -> str:
    """Clauses that give turns to ``rows`` (id, queue, priority, turn, owner), which are ready again, as ``again`` (id,
    turn): each owner's take turns from where the lane is, beside those of its rows that wait already.
    """
    return f"""
    lanes_again AS (SELECT d.queue, d.priority, {reached("d.queue", "d.priority")} AS turn
                    FROM (SELECT DISTINCT queue, priority FROM {rows}) AS d),
    again AS (
      SELECT r.id, l.turn + row_number() OVER (PARTITION BY r.queue, r.priority, r.owner ORDER BY r.turn, r.id) AS turn
      FROM {rows} r JOIN lanes_again l USING (queue, priority)
    )"""


#: A clause: each lane of the queues $1, with how many rows were published (``number``) and the turn reached, and the
#: same of $2 rows before (``floor_number``, ``floor``).
LANES: Final = f"""
    lane AS MATERIALIZED (
      SELECT q.queue, p.priority::smallint AS priority, coalesce(m.number, 0) AS number, coalesce(m.turn, 0) AS turn,
             coalesce(f.number, 0) AS floor_number, coalesce(f.turn, 0) AS floor
      FROM unnest($1) AS q(queue) CROSS JOIN generate_series(0, {len(Priority) - 1}) AS p(priority)
      LEFT JOIN LATERAL (
        SELECT number, turn FROM dispatch_marks WHERE queue = q.queue AND priority = p.priority
        ORDER BY number DESC LIMIT 1
      ) AS m ON true
      LEFT JOIN LATERAL (
        SELECT number, turn FROM dispatch_marks
        WHERE queue = q.queue AND priority = p.priority AND number <= m.number - $2 ORDER BY number DESC LIMIT 1
      ) AS f ON true
    )"""

# One dispatcher publishes into a queue at a time, or each would fill the window. Not the lock of a row: that is a
# write, and an idle pass would wait for the disk. And no pass sorts a lane, however few rows there were when its
# statements were planned.
_LOCK: Final = Prepared(
    f"""
    SELECT set_config('idle_in_transaction_session_timeout', '{_LONGEST_SILENCE}', true),
           set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
           set_config('jit', 'off', true),
           ARRAY(SELECT q.queue FROM unnest($1) AS q(queue)
                 WHERE pg_try_advisory_xact_lock(hashtext('pixmill dispatcher'), hashtext(q.queue))) AS queues
    """,
    "text[]",
)

_TRIM: Final = Prepared(
    f"""
    WITH {LANES}
    DELETE FROM dispatch_marks m USING lane
    WHERE m.queue = lane.queue AND m.priority = lane.priority AND m.number < lane.floor_number
    """,
    *("text[]", "bigint"),
)


def lock(session: Session, queues: list[str]) -> list[str]:
    """Those of ``queues`` that nobody else publishes into now; nobody else does until the transaction ends."""
    return list(_LOCK.run(session, queues)[0]["queues"])


def plan_for_many(session: Session) -> None:
    """What else a transaction asks is planned as for a pass."""
    lock(session, [])


def trim(session: Session, queues: list[str], window: int) -> None:
    """Delete the marks that nobody looks back to."""
    _TRIM.run(session, queues, LOOK_BACK * window)
