"""How many unfinished jobs a key may have. Prepared SQL.

They are counted in the transaction that makes more of them, one such transaction of a key at a time: of submissions
in parallel none passes the limit. Keys without a limit pay nothing.
"""

import uuid
from typing import Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import QuotaExceeded
from pixmill_shared.database.prepared import Prepared

RETRY_AFTER: Final = 5
"""Seconds: some job is likely to have ended by then."""

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


def admit(session: Session, caller: Caller, count: int = 1) -> None:
    """``count`` more jobs of the caller's key are about to be made in the session's transaction. Raises QuotaExceeded.

    Before the first of them is inserted: the lock on the key comes before those on rows.
    """
    if caller.api_key_id is not None:
        _admit(session, caller.api_key_id, caller.max_unfinished, count)


def admit_again(context: Context, session: Session, caller: Caller, owner: uuid.UUID | None, count: int = 1) -> None:
    """As ``admit``, for jobs that repeat others: they are of the key of those, whoever asks. Raises QuotaExceeded."""
    if owner == caller.api_key_id:
        admit(session, caller, count)
    elif owner is not None:
        own = _LIMIT.run(session, owner)[0]["max_unfinished"]
        _admit(session, owner, context.limits.max_unfinished if own is None else own, count)


def _admit(session: Session, key_id: uuid.UUID, limit: int, count: int) -> None:
    if not limit:
        return
    if count <= limit:
        _LOCK.run(session, str(key_id))
    if count > limit or _COUNT.run(session, key_id, limit)[0]["found"] + count > limit:
        raise QuotaExceeded(limit, count, RETRY_AFTER)
