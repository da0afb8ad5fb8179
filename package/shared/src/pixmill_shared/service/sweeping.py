"""Deletes what nobody needs: objects that no row names, what killed writers left, uploads that no job used.

Each sweep goes page by page, may end at any point, and may run beside itself; what it leaves, the next one finds.
"""

import datetime
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Final

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import SMALLEST_ID, new_id
from pixmill_shared.domain.objects import (
    PREFIXES,
    builder_of,
    is_probe,
    is_source,
    probe_name,
    rendition_key_of,
    session_of,
)
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import leftovers
from pixmill_shared.storage import ObjectInfo, ObjectStore

log = get_logger(__name__)

PAGE: Final = 500
"""Objects or rows that one transaction looks at."""

EXAMPLES: Final = 5
"""Names that are told."""


@dataclass
class Swept:
    """``bytes`` are those of the objects; ``unfinished`` are files of writers that were killed; ``examples`` are names
    of some that were deleted."""

    looked_at: int = 0
    deleted: int = 0
    bytes: int = 0
    unfinished: int = 0
    examples: list[str] = field(default_factory=list)


def sweep_objects(
    database: Database,
    store: ObjectStore,
    *,
    older_than: datetime.timedelta,
    most: int | None = None,
    dry_run: bool = False,
) -> Swept:
    """Delete objects of pixmill's own naming that no row names, up to ``most`` of them. Raises StorageUnavailable.

    No object is deleted that a row comes to name later. Its name is unique to one claim, or to one request of the API
    (see ``domain/objects.py``), and a row takes it over from there, or from a row that names it already. So
    ``older_than`` only has to be longer than a claim or a request lasts, and a day is hundreds of times that. It is
    measured by the store's own clock, against an object written now: a file server's may be wrong by days.
    """
    swept = Swept()
    before = _now_by(store) - older_than
    # A run that is ended at its time limit has begun elsewhere than the next one.
    for prefix in random.SystemRandom().sample(PREFIXES, len(PREFIXES)):
        for page in _pages(store.list(prefix)):
            swept.looked_at += len(page)
            old = {info.key: info for info in page if info.modified <= before and _is_ours(info.key)}
            for info in _unnamed(database, old):
                if most is not None and swept.deleted >= most:
                    return _told("objects", swept, dry_run)
                if not dry_run:
                    store.delete(info.key)
                swept.deleted += 1
                swept.bytes += info.size
                if len(swept.examples) < EXAMPLES:
                    swept.examples.append(info.key)
    if not dry_run:
        swept.unfinished = store.remove_unfinished(before)
    return _told("objects", swept, dry_run)


def sweep_uploads(
    database: Database, store: ObjectStore, *, older_than: datetime.timedelta, dry_run: bool = False
) -> Swept:
    """Delete uploads that no job uses, as a source or as a watermark. Raises StorageUnavailable.

    Rows first: an object whose row is gone, and that a crash in between leaves, is for ``sweep_objects``.
    """
    swept, last = Swept(), SMALLEST_ID
    while True:
        with database.session_scope() as session:
            ids = leftovers.aged_uploads(session, older_than, last, PAGE)
            if dry_run:
                swept.deleted += leftovers.count_unused_uploads(session, ids)
            keys = [] if dry_run else leftovers.delete_unused_uploads(session, ids)
        for key in keys:
            store.delete(key)
        swept.looked_at += len(ids)
        swept.deleted += len(keys)
        if len(ids) < PAGE:
            return _told("uploads", swept, dry_run)
        last = ids[-1]


def _now_by(store: ObjectStore) -> datetime.datetime:
    name = probe_name(new_id())
    store.put(name, b"", "application/octet-stream")
    try:
        return store.head(name).modified
    finally:
        store.delete(name)


def _pages(found: Iterable[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    objects = iter(found)
    while page := list(islice(objects, PAGE)):
        yield page


def _is_ours(name: str) -> bool:
    """Anything else in the storage is somebody else's."""
    of_rows = (session_of(name), rendition_key_of(name), builder_of(name))
    return is_source(name) or is_probe(name) or any(found is not None for found in of_rows)


def _unnamed(database: Database, objects: dict[str, ObjectInfo]) -> list[ObjectInfo]:
    if not objects:
        return []
    with database.session_scope() as session:
        kept = leftovers.named(session, objects)
    return [info for name, info in objects.items() if name not in kept]


def _told(what: str, swept: Swept, dry_run: bool) -> Swept:
    log.info("swept", what=what, dry_run=dry_run, **asdict(swept))
    return swept
