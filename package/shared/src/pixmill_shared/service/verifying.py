"""Do rows and objects agree? Both ways, and nothing is changed: what is missing no program can bring back, and what is
too much is the clean-up's.
"""

import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import LARGEST_ID, SMALLEST_ID
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


def verify(clients: Runtime, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """``rows``: those without objects, by kind; ``objects``: those without rows; ``unfinished``: kinds of which not all
    were looked at. Raises StorageUnavailable.
    """
    database, store, until = clients.database, clients.store, clock() + PATIENCE
    found, unfinished = {kind: Missing() for kind in stored.KINDS}, []
    look = _Look(database, store, lambda: clock() < until)
    # What one look does not come to, another does: it begins elsewhere.
    for kind in clients.rng.sample(list(stored.KINDS), len(stored.KINDS)):
        missing = found[kind]
        if not all(look.at(kind, span, missing) for span in _spans(database, kind, clients.rng)):
            unfinished.append(kind)
        if missing.missing:
            log.error("objects are missing", kind=kind, missing=missing.missing, examples=missing.examples)
    _alert(database, found, whole=not unfinished)
    left = sweep_objects(database, store, older_than=objects_after(), dry_run=True)
    return {
        "rows": {kind: asdict(missing) for kind, missing in found.items()},
        "missing": sum(missing.missing for missing in found.values()),
        "objects": {"looked_at": left.looked_at, "without_row": left.deleted, "examples": left.examples},
        "unfinished": sorted(unfinished),
    }


def _spans(database: Database, kind: str, rng: random.Random) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Of ids: those that follow a place within them, and then those up to it."""
    with database.session_scope() as session:
        ends = stored.ends(session, kind)
    if ends is None:
        return []
    place = uuid.UUID(int=rng.randint(max(ends[0].int - 1, 0), ends[1].int))
    return [(place, LARGEST_ID), (SMALLEST_ID, place)]


@dataclass(frozen=True)
class _Look:
    """``goes_on``: there is time for another page."""

    database: Database
    store: ObjectStore
    goes_on: Callable[[], bool]

    def at(self, kind: str, span: tuple[uuid.UUID, uuid.UUID], missing: Missing) -> bool:
        """Whether all rows of the span were looked at."""
        place: uuid.UUID | None = span[0]
        with ThreadPoolExecutor(AT_ONCE) as asking:
            while place is not None and self.goes_on():
                with self.database.session_scope() as session:
                    page = stored.page(session, kind, place, span[1], PAGE)
                there = asking.map(self.store.exists, page.objects.values())
                absent = [row for row, exists in zip(page.objects, there, strict=True) if not exists]
                missing.looked_at += page.looked_at
                self._note(kind, missing, {row: page.objects[row] for row in absent})
                place = page.last
        return place is None

    def _note(self, kind: str, missing: Missing, absent: dict[str, str]) -> None:
        """Whose row was deleted in the meantime, or names another object by now, is not missing."""
        if not absent:
            return
        with self.database.session_scope() as session:
            now = stored.still_named(session, kind, absent)
        names = [name for row, name in absent.items() if now.get(row) == name]
        missing.missing += len(names)
        missing.examples += names[: EXAMPLES - len(missing.examples)]


def _alert(database: Database, found: dict[str, Missing], *, whole: bool) -> None:
    """It is over when a look at all rows, ``whole``, misses nothing."""
    counts = {kind: missing.missing for kind, missing in found.items() if missing.missing}
    told = ", ".join(f"{count} of {kind}" for kind, count in counts.items())
    with database.session_scope() as session:
        if counts:
            alerts.raise_alert(
                session, AlertRule.OBJECTS_MISSING, "storage", f"Objects are missing that rows name: {told}."
            )
        elif whole:
            alerts.clear_alert(session, AlertRule.OBJECTS_MISSING, "storage")
