"""What the nightly clean-up does, in which order.

Rows go in small transactions, and the objects that they named after the commit: a clean-up that is killed in between
leaves objects that no row names, which the sweep at the end finds, of this run or of a later one.
"""

import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import TERMINAL, JobStatus
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import aging, beat_runs, clock, idempotency, receivers
from pixmill_shared.repositories.aging import Old
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.sweeping import sweep_objects, sweep_uploads
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.retention import RetentionSettings
from pixmill_shared.settings.work import TaskLimitSettings
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)

BATCH: Final = 1_000
"""Rows that one transaction deletes of a table whose rows nobody else locks."""

SMALLEST, LARGEST, FIRST = 20, 4_000, 200
"""Rows that one transaction looks at, of the others."""

LONG: Final = 0.2
"""Seconds of a transaction, about: whoever wants a row that it has waits as long at most."""

PATIENCE: Final = 2_700.0
"""Seconds after which no further page is begun: the rest is for the next run."""


@dataclass
class Cleaner:
    """``deleted`` counts rows by what they are; ``unfinished`` names those of which more is left."""

    database: Database
    store: ObjectStore
    until: float = field(default_factory=lambda: time.monotonic() + PATIENCE)
    deleted: dict[str, int] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)

    def delete(self, what: str, old: Old) -> None:
        """Page by page; a page that took long is followed by a smaller one. Raises StorageUnavailable."""
        place, limit, count = None, FIRST, 0
        while True:
            begun = time.monotonic()
            with self.database.session_scope() as session:
                page = old(session, place, limit)
            took = time.monotonic() - begun
            failpoint("cleanup.committed", what)
            for name in page.objects:
                self.store.delete(name)
            count, place = count + page.deleted, page.last
            if place is None:
                break
            if time.monotonic() > self.until:
                self.unfinished.append(what)
                break
            limit = _size(limit, took)
        self._counted(what, count)

    def delete_all(self, what: str, delete: Callable[[Session, int], int]) -> None:
        self._counted(what, delete_in_batches(self.database, delete))

    def _counted(self, what: str, count: int) -> None:
        self.deleted[what] = self.deleted.get(what, 0) + count
        if count:
            log.info("cleaned up", what=what, deleted=count)


def clean_up(clients: Runtime) -> dict[str, Any]:
    """What was done, for who asked for it: rows by table, objects, and what is left. Raises StorageUnavailable.

    First what needs no storage, which may be away.
    """
    kept, cleaner = RetentionSettings.load(), Cleaner(clients.database, clients.store)
    with clients.database.session_scope() as session:
        now = clock.now(session)
    cleaner.delete_all("idempotency_records", idempotency.delete_expired)
    cleaner.delete_all("beat_runs", beat_runs.older_than(timedelta(days=kept.ticks)))
    cleaner.delete_all("receivers", receivers.forget_old)
    for table, old in _plain(kept, now):
        cleaner.delete(table, old)
    _delete_jobs(cleaner, kept, now)
    cleaner.delete("renditions", aging.unlinked_renditions(now - objects_after()))
    uploads = sweep_uploads(clients.database, clients.store, older_than=MaintenanceSettings.load().uploads_after)
    swept = sweep_objects(clients.database, clients.store, older_than=objects_after())
    return {
        "rows": {**cleaner.deleted, "uploads": uploads.deleted},
        "objects": asdict(swept),
        "unfinished": cleaner.unfinished,
    }


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


def _plain(kept: RetentionSettings, now: datetime.datetime) -> Iterator[tuple[str, Old]]:
    """Tables whose rows name no objects, and that are to be cleaned at all."""
    walked = {
        "deliveries": kept.of("deliveries"),
        "job_events": kept.of("events"),
        "dead_letters": kept.of("dead_letters"),
        "alerts": kept.of("alerts"),
        "alert_messages": kept.of("alerts"),
        "task_requests": kept.of("tasks"),
        "audit": kept.of("audit"),
    }
    yield from ((table, aging.old_rows(table, now - age)) for table, age in walked.items() if age)
    if age := kept.of("samples"):
        yield "queue_samples", aging.samples(now - age)
    if age := kept.of("reports"):
        yield "reports", aging.reports(now - age)


def _delete_jobs(cleaner: Cleaner, kept: RetentionSettings, now: datetime.datetime) -> None:
    with cleaner.database.session_scope() as session:
        projects = aging.projects(session)
    abandoned = now - timedelta(days=kept.unfinished)
    for project in projects:
        for status in sorted(set(JobStatus) - TERMINAL):
            cleaner.delete("unfinished_jobs", aging.unfinished_jobs(project, status, abandoned))
    if age := kept.of("jobs"):
        cleaner.delete("jobs", aging.finished_jobs(now - age))
        cleaner.delete("batches", aging.old_rows("batches", now - age))


def _size(limit: int, took: float) -> int:
    if took > LONG:
        return max(SMALLEST, limit // 2)
    return min(LARGEST, limit * 2) if took < LONG / 4 else limit
