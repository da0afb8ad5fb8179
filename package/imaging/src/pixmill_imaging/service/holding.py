"""Renditions are made once: what exists is found, the rest is reserved, what another job is making is waited for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from pixmill_shared.database.engine import Database
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import jobs, renditions, reservations
from pixmill_shared.storage import ObjectStore

log = get_logger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """By key: ``rows`` exist, with their objects; ``gone`` are the names of objects that are missing. What is not in
    ``rows`` is the job's to make.
    """

    rows: Mapping[str, Row]
    gone: Mapping[str, str]


class _BeingMade(Exception):
    """Another job is making the rendition ``key``. Raised through the transaction, which reserves nothing then."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def hold(job: jobs.ClaimedJob, database: Database, store: ObjectStore, keys: Collection[str]) -> Held | None:
    """None: the claim is given back, because another job is making one of them, or it was lost."""
    gone: dict[str, str] = {}
    try:
        with database.session_scope() as session:
            rows = _found_or_reserved(session, job, keys, gone)
        gone = {key: row["storage_key"] for key, row in rows.items() if not store.exists(row["storage_key"])}
        if gone:
            with database.session_scope() as session:
                rows |= _found_or_reserved(session, job, gone, gone)
    except _BeingMade as made:
        _wait(job, database, made.key, drop=bool(gone))
        return None
    return Held({key: row for key, row in rows.items() if row["storage_key"] != gone.get(key)}, gone)


def _found_or_reserved(
    session: Session, job: jobs.ClaimedJob, keys: Collection[str], gone: Mapping[str, str]
) -> dict[str, Row]:
    """Rows of those that exist, once all others are reserved."""
    rows = _existing(session, keys, gone)
    missing = set(keys) - set(rows)
    if not missing:
        return rows
    ours = reservations.reserve(session, job.id, job.fence, missing)
    # Again: who had reserved one may have made it while this job waited for the lock.
    rows |= _existing(session, missing, gone)
    others = missing - ours - set(rows)
    if others:
        raise _BeingMade(min(others))
    return rows


def _existing(session: Session, keys: Collection[str], gone: Mapping[str, str]) -> dict[str, Row]:
    found = renditions.find(session, list(keys))
    return {key: row for key, row in found.items() if row["storage_key"] != gone.get(key)}


def _wait(job: jobs.ClaimedJob, database: Database, key: str, *, drop: bool) -> None:
    if drop:
        # In a transaction of its own: who waits for a lock may hold none out of order.
        with database.session_scope() as session:
            reservations.drop(session, job.id, job.fence)
    with database.session_scope() as session:
        waits = jobs.wait(session, job, key)
    if waits:
        log.info("another job is making this rendition, waiting for it", rendition=key)
