"""Archives whose time is over."""

from datetime import timedelta
from typing import Final

from pixmill_shared.database.engine import Database
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import task_requests
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)

PAGE: Final = 100
"""Archives that one transaction forgets."""


def expire_archives(database: Database, store: ObjectStore, *, kept: timedelta, page: int = PAGE) -> int:
    """How many were deleted. Raises StorageUnavailable.

    Rows first: an object that no row names any more, and that a crash in between leaves, is for ``sweep_objects``.
    """
    gone = 0
    while True:
        with database.session_scope() as session:
            keys = task_requests.expire_archives(session, kept.total_seconds(), page)
        for key in keys:
            store.delete(key)
        gone += len(keys)
        if len(keys) < page:
            log.info("swept", what="archives", deleted=gone)
            return gone
