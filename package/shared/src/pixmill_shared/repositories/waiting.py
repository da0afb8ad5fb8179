"""How much work is due for some queues, as far as it matters. Prepared SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories.lanes import PUBLISHED, READY

#: Within which the recovery, which looks each second, reaches what is due.
_GRACE: Final = "interval '1 minute'"


@dataclass(frozen=True)
class Waiting:
    """``oldest``: seconds since the oldest of the ``rows`` was made, or should have gone on."""

    rows: int
    oldest: float


def _counted(rows: str) -> Prepared:
    """Of ``rows`` (since): SQL that asks about the queues $1, for $2 at most of each part."""
    # Each part is read from a partial index, no further than it matters.
    return Prepared(
        f"""
        SELECT count(*) AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float8 AS oldest
        FROM ({rows}) AS due
        """,
        *("text[]", "bigint"),
    )


@cache
def _waiting(table: str) -> Prepared:
    return _counted(
        f"""
        (SELECT created_at AS since FROM {table} w WHERE w.queue = ANY($1) AND {READY} LIMIT $2)
        UNION ALL
        (SELECT created_at FROM {table} w WHERE w.queue = ANY($1) AND {PUBLISHED} LIMIT $2)
        """
    )


@cache
def _left_behind(table: str) -> Prepared:
    long_ago = f"statement_timestamp() - {_GRACE}"
    return _counted(
        f"""
        (SELECT run_at AS since FROM {table} w
         WHERE w.queue = ANY($1) AND w.status = 'queued' AND w.dispatched_at IS NULL AND w.run_at < {long_ago} LIMIT $2)
        UNION ALL
        (SELECT lease_until FROM {table} w
         WHERE w.queue = ANY($1) AND w.status = 'processing' AND w.lease_until < {long_ago} LIMIT $2)
        """
    )


def waiting(session: Session, table: str, queues: Sequence[str], most: int) -> Waiting:
    """Rows of ``table`` that are due for ``queues`` and not claimed: at most ``most`` that are published, and as many
    that are not.
    """
    return _asked(session, _waiting(table), queues, most)


def left_behind(session: Session, table: str, queues: Sequence[str], most: int) -> Waiting:
    """Rows of ``table`` that the recovery should have made due: at most ``most`` retries whose time has come, and as
    many whose workers went silent. None, unless the recovery fails: nobody else would tell.
    """
    return _asked(session, _left_behind(table), queues, most)


def _asked(session: Session, statement: Prepared, queues: Sequence[str], most: int) -> Waiting:
    row = statement.run(session, list(queues), most)[0]
    return Waiting(int(row["rows"]), float(row["oldest"]))
