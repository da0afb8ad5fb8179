"""How much work is due for some queues, as far as it matters. Prepared SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories.lanes import PUBLISHED, READY


@dataclass(frozen=True)
class Waiting:
    """``oldest``: seconds since the oldest of the ``rows`` was made."""

    rows: int
    oldest: float


@cache
def _statement(table: str) -> Prepared:
    # Each part is a partial index that holds nothing else, and is read no further than it matters.
    return Prepared(
        f"""
        SELECT count(*) AS rows,
               coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest
        FROM (
          (SELECT created_at FROM {table} w WHERE w.queue = ANY($1) AND {READY} LIMIT $2)
          UNION ALL
          (SELECT created_at FROM {table} w WHERE w.queue = ANY($1) AND {PUBLISHED} LIMIT $2)
        ) AS due
        """,
        *("text[]", "bigint"),
    )


def waiting(session: Session, table: str, queues: Sequence[str], most: int) -> Waiting:
    """Rows of ``table`` that are due for ``queues`` and not claimed: at most ``most`` that are published, and as many
    that are not.
    """
    row = _statement(table).run(session, list(queues), most)[0]
    return Waiting(int(row["rows"]), float(row["oldest"]))
