"""How many unfinished jobs a key may have.

They are counted in the transaction that makes more of them, one such transaction of a key at a time: of submissions
in parallel none passes the limit. Keys without a limit pay nothing.
"""

import uuid
from typing import Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import QuotaExceeded
from pixmill_shared.repositories import quotas

RETRY_AFTER: Final = 5
"""Seconds: some job is likely to have ended by then."""


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
        _admit(session, owner, quotas.limit_of(session, owner, context.admission.max_unfinished), count)


def _admit(session: Session, key_id: uuid.UUID, limit: int, count: int) -> None:
    if not limit:
        return
    if count <= limit:
        quotas.lock(session, key_id)
    if count > limit or quotas.unfinished(session, key_id, limit) + count > limit:
        raise QuotaExceeded(limit, count, RETRY_AFTER)
