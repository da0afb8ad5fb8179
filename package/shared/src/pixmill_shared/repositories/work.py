"""Dispatch and recovery of any table of work (``WorkColumns``): prepared SQL.

Who writes what: submission inserts ``queued``; the dispatcher sets ``dispatched_at``; a claim makes it
``processing`` with ``fence`` + 1 and a lease; whatever ends the claim carries that fence in its WHERE.
All times are the database's, so that the clocks of workers do not matter. Rows that somebody else has locked are
passed by: a client that hangs in a transaction holds up its own rows only.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories import lanes, taking
from pixmill_shared.repositories.lanes import LANES, LOOK_BACK, PUBLISHED, READY

WAKE_CHANNEL: Final = "pixmill_work"
"""NOTIFY channel: a commit made work due. Of one that ended a job the payload is JSON: ``job``, ``batch``,
``project``."""

_OVERTAKEN_AFTER: Final = 1.0
"""Seconds that a row is given before others that were published later count as having overtaken it."""

_NO_LEASE: Final = "make_interval(secs => greatest(10 * $1, 600))"
"""Longer than any worker's lease, in terms of the dispatcher's own setting."""

_AHEAD: Final = 60
"""Seconds by which a row that was published in the future shows that the clock was set back."""

_MOST: Final = 1000
"""Rows that one statement of the recovery changes: the next pass has the rest."""

_LOCK_TIMEOUT: Final = 100
"""Milliseconds that the recovery waits for what somebody else has locked: who works needs it no longer than that, and
what hangs may hold it for a minute."""

_WAIT_BRIEFLY: Final = Prepared(f"SELECT set_config('lock_timeout', '{_LOCK_TIMEOUT}', true)")

# The wait doubles with each publication, so that a queue whose workers are busy or gone is not flooded.
_DOUBLING: Final = "power(2, least(greatest(w.dispatches, 1), 7) - 1)"


@dataclass(frozen=True)
class Due:
    """A row that was taken for publishing."""

    id: uuid.UUID
    queue: str
    stage: str | None


class WorkTable:
    """The statements of one table. ``stage`` is its stage, for tables that have one, ``owner`` whose turn it takes, and
    ``size`` the bytes that the work will read, NULL if nobody knows or it does not matter: all as SQL of a row ``w``.
    ``counts_claimed``: the window is one of rows that are published or worked on, so it bounds how many are at once.
    """

    def __init__(
        self,
        table: str,
        *,
        owner: str,
        stage: str = "NULL::text",
        size: str = "NULL::bigint",
        counts_claimed: bool = False,
    ) -> None:
        self.table = table
        self._take = taking.take_within_window(table, stage, counts_claimed=counts_claimed)
        self._take_now = taking.take_now(table, stage, size)
        self._under_way = taking.under_way(table)
        self._ripen = _ripen(table, owner)
        self._lift = _lift(table, owner)
        self._forget_lost = _forget_lost(table)
        self._shorten = Prepared(
            f"""
            UPDATE {table} SET lease_until = statement_timestamp() + make_interval(secs => $1)
            WHERE id = ANY(ARRAY(
              SELECT id FROM {table} WHERE status = 'processing'
                AND lease_until > statement_timestamp() + {_NO_LEASE}
              ORDER BY lease_until DESC LIMIT {_MOST} FOR NO KEY UPDATE SKIP LOCKED
            ))
            RETURNING id
            """,
            "double precision",
        )
        self._expire = Prepared(
            f"""
            UPDATE {table} SET status = 'queued', lease_until = NULL, claimed_by = NULL, dispatched_at = NULL
            WHERE id = ANY(ARRAY(
              SELECT id FROM {table}
              WHERE status = 'processing' AND lease_until < statement_timestamp() AND attempts < $1
              ORDER BY lease_until LIMIT {_MOST} FOR UPDATE SKIP LOCKED
            ))
            RETURNING id
            """,
            "bigint",
        )
        self._exhausted = _exhausted(table, owner)
        self._postpone = Prepared(
            f"""
            UPDATE {table} w SET dispatched_at = NULL,
              run_at = clock_timestamp() + make_interval(secs => $2 * {_DOUBLING})
            WHERE id = $1 AND status = 'queued'
            """,
            *("uuid", "double precision"),
        )
        self._hold = Prepared(
            f"UPDATE {table} SET lease_until = clock_timestamp() + make_interval(secs => $3)"
            " WHERE id = $1 AND fence = $2 AND status = 'processing'",
            *("uuid", "bigint", "double precision"),
        )

    def take_due(self, session: Session, queues: Sequence[str], window: int, most: int | None = None) -> list[Due]:
        """Mark and return the rows that fit into each queue's window, in their order. Publish them, then commit.

        Nothing of a queue that another dispatcher is publishing into. ``most``: rows that a queue may hold, where that
        is not the window; a pass looks back by the greater one.
        """
        free = lanes.lock(session, list(queues))
        if not free:
            return []
        # A statement of its own: it sees what the last holder of the lock did.
        most = window if most is None else most
        rows = self._take.run(session, free, LOOK_BACK * max(window, most), most)
        rows.sort(key=lambda row: (row["queue"], row["priority"], row["dispatch_number"]))
        return [Due(row["id"], row["queue"], row["stage"]) for row in rows]

    def take_now(
        self,
        session: Session,
        queues: Sequence[str],
        places: int,
        window: int,
        largest: int | None = None,
        most: int | None = None,
    ) -> list[Due]:
        """As ``take_due``, for whoever begins to work on ``places`` rows at once: those of the first queue first.

        ``largest``: only rows whose work reads no more bytes than that, or nobody knows how many. The others keep their
        place. ``window`` is the dispatcher's. ``most``: rows of all these queues that may be worked on at once.
        """
        free = set(lanes.lock(session, list(queues)))
        if not free:
            return []
        mine = [queue for queue in queues if queue in free]
        if most is not None:
            places = min(places, most - self._under_way.run(session, mine)[0]["rows"])
        if places <= 0:
            return []
        rows = self._take_now.run(session, mine, LOOK_BACK * window, places, largest)
        rows.sort(key=lambda row: row["place"])
        return [Due(row["id"], row["queue"], row["stage"]) for row in rows]

    def ripen(self, session: Session) -> None:
        """Rows whose ``run_at`` has come are ready."""
        self._ripen.run(session)

    def lift(self, session: Session, queues: Sequence[str], window: int) -> int:
        """Ready rows whose turn has passed, since they were committed late or are ready again, get one that is to
        come: passes do not look behind. How many.
        """
        return len(self._lift.run(session, list(queues), LOOK_BACK * window))

    def forget_lost(self, session: Session, queues: Sequence[str], after: float, window: int) -> int:
        """Rows whose message was not claimed within ``after`` seconds are ready again, and those that were overtaken:
        of twice the ``window`` of rows that were published later, some have been claimed. How many.
        """
        return len(self._forget_lost.run(session, list(queues), 2 * window, after))

    def expire_leases(self, session: Session, max_attempts: int) -> int:
        """Rows whose worker went silent are ready again, unless their attempts are used up; how many."""
        return len(self._expire.run(session, max_attempts))

    def shorten_leases(self, session: Session, lease: float) -> int:
        """Leases that are longer than any worker takes were given before the clock was set back. They are ``lease``
        seconds long now: who works renews, and nobody waits an hour for a worker that is dead. How many.
        """
        return len(self._shorten.run(session, lease))

    def exhausted(self, session: Session, max_attempts: int) -> list[dict[str, Any]]:
        """``id`` and ``fence`` of rows whose last worker went silent; locked. By owner: who ends them counts them in
        their batches, and two that do so may not wait for each other.
        """
        return sorted(self._exhausted.run(session, max_attempts), key=lambda row: str(row["owner"]))

    def postpone(self, session: Session, row_id: uuid.UUID, seconds: float) -> None:
        """A row that cannot be published is due again after ``seconds``, doubled each time."""
        self._postpone.run(session, row_id, seconds)

    def hold(self, session: Session, row_id: uuid.UUID, fence: int, seconds: float) -> None:
        """A row that cannot be given up is left alone for ``seconds``."""
        self._hold.run(session, row_id, fence, seconds)


def wait_briefly(session: Session) -> None:
    """Until the transaction ends, a lock that is not to be had soon is an error."""
    _WAIT_BRIEFLY.run(session)


def _exhausted(table: str, owner: str) -> Prepared:
    return Prepared(
        f"""
        SELECT w.id, w.fence, {owner} AS owner FROM {table} w
        WHERE status = 'processing' AND lease_until < statement_timestamp() AND attempts >= $1
        ORDER BY lease_until LIMIT 100 FOR UPDATE SKIP LOCKED
        """,
        "bigint",
    )


def _ripen(table: str, owner: str) -> Prepared:
    return _ready_again(
        table,
        owner,
        "run_at = NULL, turn = greatest(w.turn, again.turn)",
        f"""
        SELECT w.id, w.queue, w.priority, w.turn, {owner} AS owner FROM {table} w
        WHERE w.status = 'queued' AND w.run_at <= statement_timestamp()
        ORDER BY w.run_at LIMIT {_MOST} FOR NO KEY UPDATE SKIP LOCKED
        """,
    )


def _lift(table: str, owner: str) -> Prepared:
    return _ready_again(
        table,
        owner,
        "turn = again.turn",
        f"""
        SELECT low.* FROM lane CROSS JOIN LATERAL (
          SELECT w.id, w.queue, w.priority, w.turn, {owner} AS owner FROM {table} w
          WHERE w.queue = lane.queue AND w.priority = lane.priority AND {READY} AND w.turn < lane.floor
          ORDER BY w.turn, w.id LIMIT {_MOST} FOR NO KEY UPDATE SKIP LOCKED
        ) AS low
        """,
        before=f"{LANES},",
        types=("text[]", "bigint"),
    )


def _ready_again(
    table: str, owner: str, change: str, rows: str, before: str = "", types: tuple[str, ...] = ()
) -> Prepared:
    return Prepared(
        f"""
        WITH {before}
        found AS MATERIALIZED ({rows}),
        {lanes.again("found")}
        UPDATE {table} w SET {change} FROM again
        WHERE w.id = again.id AND w.id = ANY(ARRAY(SELECT id FROM again))
        RETURNING w.id
        """,
        *types,
    )


def _forget_lost(table: str) -> Prepared:
    age = f"statement_timestamp() - make_interval(secs => {{}} * {_DOUBLING})"
    return Prepared(
        f"""
        WITH {LANES},
        lost AS MATERIALIZED (
          SELECT old.id FROM lane CROSS JOIN LATERAL (
            SELECT w.id FROM {table} w
            WHERE w.queue = lane.queue AND w.priority = lane.priority AND {PUBLISHED}
              AND (w.dispatched_at < {age.format("$3")}
                   OR w.dispatched_at > statement_timestamp() + make_interval(secs => {_AHEAD})
                   OR (w.dispatch_number <= lane.number - $2 AND w.dispatched_at < {age.format(_OVERTAKEN_AFTER)}))
            FOR NO KEY UPDATE SKIP LOCKED
          ) AS old
        )
        UPDATE {table} w SET dispatched_at = NULL WHERE w.id = ANY(ARRAY(SELECT id FROM lost)) RETURNING w.id
        """,
        *("text[]", "bigint", "double precision"),
    )
