"""Workers as they are now. Prepared SQL for what each tells every few seconds; SQLAlchemy for who looks."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from pixmill_shared.database.models.crew import Worker
from pixmill_shared.database.prepared import Prepared

STALE_AFTER: Final = 30
"""Seconds of silence after which a worker counts as gone."""
FORGET_AFTER: Final = 3600
"""Seconds of silence after which nobody needs to see that it was there."""

_RENEW: Final = Prepared(
    f"""
    WITH forgotten AS (
      DELETE FROM workers
      WHERE seen_at < clock_timestamp() - make_interval(secs => {FORGET_AFTER}) AND name <> $1
        AND wanted_least IS NULL AND wanted_most IS NULL
    )
    INSERT INTO workers (name, instance, queues, pool, size, active, processed, resident_bytes, least, most, scaling,
                         started_at, seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp(), clock_timestamp())
    ON CONFLICT (name) DO UPDATE
    SET queues = excluded.queues, pool = excluded.pool, size = excluded.size, active = excluded.active,
        processed = excluded.processed, resident_bytes = excluded.resident_bytes, least = excluded.least,
        most = excluded.most, scaling = excluded.scaling, seen_at = excluded.seen_at, instance = excluded.instance,
        started_at = CASE WHEN workers.instance = excluded.instance THEN workers.started_at
                          ELSE excluded.started_at END
    RETURNING wanted_least, wanted_most
    """,
    *("text", "text", "text[]", "text", "integer", "integer", "bigint", "bigint", "integer", "integer", "text"),
)


@dataclass(frozen=True)
class Seen:
    """What a worker tells of itself; see the columns of ``Worker``."""

    name: str
    instance: str
    queues: Sequence[str]
    pool: str
    size: int
    active: int
    processed: int
    resident_bytes: int
    least: int | None = None
    most: int | None = None
    scaling: str | None = None


def renew(session: Session, seen: Seen) -> tuple[int | None, int | None]:
    """Write it down, and return the bounds that an operator wants. Workers that nobody has heard of for long go."""
    told = _RENEW.run(
        session,
        *(seen.name, seen.instance, list(seen.queues), seen.pool, seen.size, seen.active, seen.processed),
        *(seen.resident_bytes, seen.least, seen.most, seen.scaling),
    )[0]
    return told["wanted_least"], told["wanted_most"]


def leave(session: Session, name: str, instance: str) -> None:
    """A worker that ends as it should is gone at once; what an operator wanted of it is kept for its next start."""
    mine = (Worker.name == name, Worker.instance == instance)
    session.execute(delete(Worker).where(*mine, Worker.wanted_least.is_(None), Worker.wanted_most.is_(None)))
    session.execute(update(Worker).where(*mine).values(seen_at=datetime.datetime.fromtimestamp(0, datetime.UTC)))


def everyone(session: Session) -> Sequence[tuple[Worker, float]]:
    """By name, each with the seconds since it was heard of."""
    silent = func.extract("epoch", func.clock_timestamp() - Worker.seen_at)
    return [(row[0], float(row[1])) for row in session.execute(select(Worker, silent).order_by(Worker.name))]


def want(session: Session, name: str, least: int | None, most: int | None) -> Worker | None:
    """Set or (None) take away an operator's bounds. None: there is no such worker, or its pool has a fixed size."""
    worker = session.get(Worker, name, with_for_update=True)
    if worker is None or worker.least is None:
        return None
    worker.wanted_least, worker.wanted_most = least, most
    return worker
