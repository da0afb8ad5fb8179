"""How many unfinished jobs an API key has, and may have. Prepared SQL."""

import uuid
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared

# The count is a statement of its own: it has to see what was committed while the lock was waited for.
_LOCK: Final = Prepared("SELECT pg_advisory_xact_lock(hashtextextended('pixmill_quota ' || $1, 0))", "text")

_COUNT: Final = Prepared(
    """
    SELECT count(*) AS found
    FROM (SELECT FROM jobs WHERE api_key_id = $1 AND finished_at IS NULL LIMIT $2) unfinished
    """,
    *("uuid", "bigint"),
)

_LIMIT: Final = Prepared("SELECT max_unfinished FROM api_keys WHERE id = $1", "uuid")


def lock(session: Session, key_id: uuid.UUID) -> None:
    """Until the transaction ends nobody else who asks first makes jobs of the key. Before any row is locked."""
    _LOCK.run(session, str(key_id))


def unfinished(session: Session, key_id: uuid.UUID, most: int) -> int:
    """Jobs of the key that wait or run; at most ``most``."""
    return int(_COUNT.run(session, key_id, most)[0]["found"])


def limit_of(session: Session, key_id: uuid.UUID, default: int) -> int:
    """What the key may have; 0: as many as it likes."""
    rows = _LIMIT.run(session, key_id)
    own = rows[0]["max_unfinished"] if rows else None
    return default if own is None else int(own)
