"""How many unfinished jobs a key may have. Prepared SQL.

They are counted in the transaction that makes more of them, one such transaction of a key at a time: of submissions
in parallel none passes the limit. Keys without a limit pay nothing.
"""

from typing import Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller
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


def admit(session: Session, caller: Caller, count: int = 1) -> None:
    """``count`` more jobs of the caller's key are about to be made in the session's transaction. Raises QuotaExceeded.

    Before the first of them is inserted: the lock on the key comes before those on rows.
    """
    limit = caller.max_unfinished
    if caller.api_key_id is None or not limit:
        return
    if count <= limit:
        _LOCK.run(session, str(caller.api_key_id))
    if count > limit or _COUNT.run(session, caller.api_key_id, limit)[0]["found"] + count > limit:
        raise QuotaExceeded(limit, count, RETRY_AFTER)
