"""What the nightly clean-up does, in which order."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from pixmill_shared.database.engine import Database
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import idempotency
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.sweeping import sweep_objects
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.work import TaskLimitSettings

log = get_logger(__name__)

BATCH: Final = 1_000
"""Rows that one transaction deletes."""


def clean_up(clients: Runtime) -> dict[str, Any]:
    """Rows first, since they need no storage. What was done, for who asked for it. Raises StorageUnavailable."""
    expired = delete_expired_answers(clients.database)
    log.info("swept", what="idempotency records", deleted=expired)
    swept = sweep_objects(clients.database, clients.store, older_than=objects_after())
    return {"expired_answers": expired, "objects": asdict(swept)}


def objects_after() -> timedelta:
    """How old an object must be before it may be taken for a leftover: older than any task that could yet name it."""
    longest = timedelta(seconds=TaskLimitSettings.load().hard)
    return max(MaintenanceSettings.load().objects_after, 4 * longest)


def delete_expired_answers(database: Database, batch: int = BATCH) -> int:
    """Of requests with an ``Idempotency-Key`` that may be repeated no longer; how many."""
    deleted = 0
    while True:
        with database.session_scope() as session:
            found = idempotency.delete_expired(session, batch)
        deleted += found
        if found < batch:
            return deleted
