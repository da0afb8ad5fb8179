"""Upload sessions whose time is over: they go, with their parts and what came past the API."""

import uuid
from typing import Final

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.objects import incoming_name
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import upload_sessions
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)

PAGE: Final = 100
"""Sessions that one transaction deletes."""


def expire_sessions(database: Database, store: ObjectStore, page: int = PAGE) -> int:
    """How many went. One that a request is writing to stays until that ends. Raises StorageUnavailable.

    Rows first: an object whose row is gone, and that a crash in between leaves, is for ``sweep_objects``, as is what
    a request wrote while its session went.
    """
    gone = 0
    while True:
        with database.session_scope() as session:
            ids, keys = upload_sessions.delete_expired(session, page)
        delete_objects(store, ids, keys)
        gone += len(ids)
        if len(ids) < page:
            log.info("swept", what="upload sessions", deleted=gone)
            return gone


def delete_objects(store: ObjectStore, ids: list[uuid.UUID], keys: list[str]) -> None:
    """Of sessions that are gone: their parts ``keys``, and where clients may have written past the API."""
    for key in (*keys, *map(incoming_name, ids)):
        store.delete(key)
