"""Do rows and objects agree? Both ways, and nothing is changed: what is missing no program can bring back, and what is
too much is the clean-up's.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.database.engine import Database
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import alerts, stored
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.cleaning import objects_after
from pixmill_shared.service.sweeping import EXAMPLES, sweep_objects
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)

PAGE: Final = 1_000
"""Rows that one transaction reads."""

AT_ONCE: Final = 8
"""Objects that are asked for side by side: a bucket takes its time for each."""

PATIENCE: Final = 9_000.0
"""Seconds after which no further page is begun."""


@dataclass
class Missing:
    """Of one kind of rows: how many were looked at, and of how many the object is not there."""

    looked_at: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)


def verify(clients: Runtime) -> dict[str, Any]:
    """``rows``: those without objects, by kind; ``objects``: those without rows; ``unfinished``: kinds of which not all
    were looked at. Raises StorageUnavailable.
    """
    database, store, until = clients.database, clients.store, time.monotonic() + PATIENCE
    found, unfinished = {kind: Missing() for kind in stored.KINDS}, []
    for kind, missing in found.items():
        if not _look(database, store, kind, missing, until):
            unfinished.append(kind)
        if missing.missing:
            log.error("objects are missing", kind=kind, missing=missing.missing, examples=missing.examples)
    left = sweep_objects(database, store, older_than=objects_after(), dry_run=True)
    _alert(database, found)
    return {
        "rows": {kind: asdict(missing) for kind, missing in found.items()},
        "missing": sum(missing.missing for missing in found.values()),
        "objects": {"looked_at": left.looked_at, "without_row": left.deleted, "examples": left.examples},
        "unfinished": unfinished,
    }


def _look(database: Database, store: ObjectStore, kind: str, missing: Missing, until: float) -> bool:
    """Whether all rows were looked at."""
    place = None
    with ThreadPoolExecutor(AT_ONCE) as asking:
        while time.monotonic() < until:
            with database.session_scope() as session:
                page = stored.page(session, kind, place, PAGE)
            there = asking.map(store.exists, page.objects.values())
            absent = [row for row, exists in zip(page.objects, there, strict=True) if not exists]
            missing.looked_at += page.looked_at
            _note(database, kind, missing, {row: page.objects[row] for row in absent})
            place = page.last
            if place is None:
                return True
    return False


def _note(database: Database, kind: str, missing: Missing, absent: dict[str, str]) -> None:
    """Whose row was deleted in the meantime, or names another object by now, is not missing."""
    if not absent:
        return
    with database.session_scope() as session:
        now = stored.still_named(session, kind, absent)
    names = [name for row, name in absent.items() if now.get(row) == name]
    missing.missing += len(names)
    missing.examples += names[: EXAMPLES - len(missing.examples)]


def _alert(database: Database, found: dict[str, Missing]) -> None:
    with database.session_scope() as session:
        counts = {kind: missing.missing for kind, missing in found.items() if missing.missing}
        if not counts:
            alerts.clear_alert(session, AlertRule.OBJECTS_MISSING, "storage")
            return
        told = ", ".join(f"{count} of {kind}" for kind, count in counts.items())
        alerts.raise_alert(
            session, AlertRule.OBJECTS_MISSING, "storage", f"Objects are missing that rows name: {told}."
        )
