"""Calls to providers of pictures: one after the other over all workers, counted, and paid for before they are made.
Prepared SQL.
"""

from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.repositories.chunks import ClaimedChunk, Item

_LONGEST: Final = 600
"""Seconds that a provider is left alone at most: a clock that is set back makes no day of them."""

# One call after the other, with so many seconds between them, over all workers; and what it costs is the job's at once,
# so that two chunks do not spend the last cent twice. Nothing is written unless both may be.
_METER = Prepared(
    f"""
    WITH meter AS (
      INSERT INTO provider_meters AS m (provider, next_at) VALUES ($1, clock_timestamp())
      ON CONFLICT (provider) DO UPDATE
        SET next_at = least(m.next_at, clock_timestamp() + make_interval(secs => {_LONGEST})) RETURNING next_at
    )
    SELECT greatest(extract(epoch FROM next_at - clock_timestamp()), 0)::float8 AS seconds FROM meter
    """,
    "text",
)

_BEGIN_CALL = Prepared(
    """
    WITH paid AS (
      UPDATE generations SET cost = cost + $3 WHERE job_id = $1 AND ($4 IS NULL OR cost + $3 <= $4) RETURNING job_id
    ),
    counted AS (
      UPDATE generation_items i SET attempts = i.attempts + 1 FROM paid
      WHERE i.job_id = paid.job_id AND i.position = $2 RETURNING i.position
    )
    UPDATE provider_meters m
    SET next_at = greatest(m.next_at, clock_timestamp()) + make_interval(secs => $6)
    FROM counted WHERE m.provider = $5 RETURNING m.provider
    """,
    *("uuid", "integer", "bigint", "bigint", "text", "double precision"),
)

_PAUSE = Prepared(
    """
    UPDATE provider_meters SET next_at = greatest(next_at, clock_timestamp() + make_interval(secs => $2))
    WHERE provider = $1
    """,
    *("text", "double precision"),
)

_REFUND = Prepared("UPDATE generations SET cost = greatest(cost - $2, 0) WHERE job_id = $1", *("uuid", "bigint"))


def wait(session: Session, provider: str) -> float:
    """Seconds until the provider may be called; its row is locked until the transaction ends."""
    seconds: float = _METER.run(session, provider)[0]["seconds"]
    return seconds


def begin(
    session: Session, chunk: ClaimedChunk, item: Item, *, provider: str, price: int, budget: int | None, pause: float
) -> bool:
    """A call for ``item`` begins: it is counted, and paid for in advance, in millionths of a US dollar; the next one
    may begin ``pause`` seconds later. False: the job may not spend that much.
    """
    return bool(_BEGIN_CALL.run(session, chunk.job_id, item.position, price, budget, provider, pause))


def pause(session: Session, provider: str, seconds: float) -> None:
    """The provider asked everybody to wait."""
    _PAUSE.run(session, provider, seconds)


def refund(session: Session, chunk: ClaimedChunk, price: int) -> None:
    """A call that was paid for made no picture, as the provider says itself."""
    _REFUND.run(session, chunk.job_id, price)
