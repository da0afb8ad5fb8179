"""What the nightly clean-up does, in which order."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.engine import Database
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import beat_runs, idempotency
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.sweeping import sweep_objects
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.work import TaskLimitSettings

log = get_logger(__name__)

BATCH: Final = 1_000
"""Rows that one transaction deletes."""


def clean_up(clients: Runtime) -> dict[str, Any]:
    """Rows first, since they need no storage. What was done, for who asked for it. Raises StorageUnavailable."""
    expired = delete_in_batches(clients.database, idempotency.delete_expired)
    log.info("swept", what="idempotency records", deleted=expired)
    ticks = delete_in_batches(clients.database, beat_runs.delete_old)
    log.info("swept", what="ticks", deleted=ticks)
    swept = sweep_objects(clients.database, clients.store, older_than=objects_after())
    return {"expired_answers": expired, "ticks": ticks, "objects": asdict(swept)}


def objects_after() -> timedelta:
    """How old an object must be before it may be taken for a leftover: older than any task that could yet name it."""
    longest = timedelta(seconds=TaskLimitSettings.load().hard)
    return max(MaintenanceSettings.load().objects_after, 4 * longest)


def delete_in_batches(database: Database, delete: Callable[[Session, int], int], batch: int = BATCH) -> int:
    """All that ``delete`` finds, in transactions of ``batch`` rows; how many."""
    deleted = 0
    while True:
        with database.session_scope() as session:
            found = delete(session, batch)
        deleted += found
        if found < batch:
            return deleted
