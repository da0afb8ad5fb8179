"""Pipelines that are due: look at their sources, make jobs of what is new, each picture once.

A few jobs a transaction, each with the item that it is made of; a worker that dies leaves whole ones, and whoever takes
over finds them known.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import structlog

from pixmill_imaging.domain.feeds import Found
from pixmill_imaging.service.looks import Tally, record_end, record_failure
from pixmill_imaging.service.room import Room
from pixmill_imaging.service.sources import Reader
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.pipelines import SourceType, StopReason
from pixmill_shared.egress import InvalidUrl
from pixmill_shared.egress.urls import parse_url
from pixmill_shared.errors import ClaimLost, PermanentError, TransientError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.stages import failure_of
from pixmill_shared.repositories import pipelines, uploads
from pixmill_shared.repositories.pipelines import ClaimedPipeline, NewItem
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.admission import AdmissionSettings

log = get_logger(__name__)

AT_ONCE: Final = 100
"""Items of a transaction."""

BUDGET: Final = 40.0
"""Seconds after which a tick begins no other pipeline: the next tick does."""

LONGEST_LOOK: Final = 900.0
"""Seconds that a run goes on reading, which a large prefix may take."""


@dataclass(frozen=True)
class Ingest:
    """The clients and settings of a worker that looks at sources."""

    clients: Runtime
    reader: Reader
    admission: AdmissionSettings

    @property
    def lease(self) -> float:
        """Seconds of a claim, which each transaction renews: a list may take its whole deadline."""
        return self.reader.fetching.fetch_timeout + self.clients.work.lease


def check_pipelines(ingest: Ingest) -> dict[str, int]:
    """Run what is due, one after another; others may do so beside it. How many ran, failed, and the jobs made."""
    counts = {"runs": 0, "failed": 0, "jobs": 0}
    until = time.monotonic() + BUDGET
    while time.monotonic() < until:
        with ingest.clients.database.session_scope() as session:
            claimed = pipelines.claim(session, ingest.clients.worker_name, ingest.lease)
        if claimed is None:
            break
        failpoint("pipeline.claimed", claimed.id)
        tally, failed = _run(ingest, claimed)
        counts["runs"] += 1
        counts["failed"] += failed
        counts["jobs"] += tally.created
    return counts


def _run(ingest: Ingest, claimed: ClaimedPipeline) -> tuple[Tally, bool]:
    """Raises DatabaseUnavailable: the lease runs out, and the run is gone on with."""
    structlog.contextvars.bind_contextvars(pipeline_id=str(claimed.id), run_id=str(claimed.run_id))
    tally = Tally()
    failure = failure_of(lambda: _work(ingest, claimed, tally))
    if failure is not None:
        with ingest.clients.database.session_scope() as session:
            record_failure(session, claimed, tally, failure, ingest.clients.rng)
        log.warning("pipeline failed", code=failure.code, detail=failure.detail)
    else:
        log.info("pipeline looked", found=tally.found, jobs=tally.created, stopped=tally.stopped)
    return tally, failure is not None


def _work(ingest: Ingest, claimed: ClaimedPipeline, tally: Tally) -> None:
    if claimed.attempts > ingest.clients.work.max_attempts:
        raise TransientError(ErrorCode.ATTEMPTS_EXHAUSTED, "Each worker that looked at the source died.")
    until = time.monotonic() + LONGEST_LOOK
    look = ingest.reader.look(claimed.source, {} if claimed.dry_run else claimed.cursor)
    failpoint("pipeline.read", claimed.id)
    room = Room(ingest.admission, ingest.reader.settings.max_items)
    while (items := list(islice(look.items, AT_ONCE))) and tally.stopped is None:
        if time.monotonic() > until:
            raise TransientError(ErrorCode.SOURCE_TIMEOUT, "Reading the source to its end took too long.")
        tally.found += len(items)
        _take(ingest, claimed, items, tally, room)
        failpoint("pipeline.committed", claimed.id)
    tally.skipped += look.skipped
    tally.unchanged = look.unchanged
    if look.cut and tally.stopped is None:
        tally.stopped = StopReason.TOO_LONG
    with ingest.clients.database.session_scope() as session:
        record_end(session, claimed, tally, look.cursor)
        failpoint("pipeline.ending", claimed.id)
    failpoint("pipeline.ended", claimed.id)


def _take(ingest: Ingest, claimed: ClaimedPipeline, items: list[Found], tally: Tally, room: Room) -> None:
    """One transaction. Raises ClaimLost."""
    with ingest.clients.database.session_scope() as session:
        free, reason = room.look(session, claimed)
        known = pipelines.known(session, claimed.id, [item.key for item in items])
        fresh = [item for item in items if item.key not in known]
        wanted = list(_jobs_of(claimed, fresh, tally))
        taken: list[NewItem] = []
        if claimed.dry_run:
            tally.would_take([Found(each.key, each.location) for each in wanted])
        else:
            taken = wanted[:free]
            tally.stopped = reason if len(taken) < len(wanted) else None
        needed = _uploads_of(claimed.recipe)
        if taken and len(uploads.digests(session, claimed.project, needed)) < len(needed):
            raise PermanentError(ErrorCode.SOURCE_NOT_FOUND, "The image of a watermark of the preset is gone.")
        made = pipelines.take(session, claimed, taken, needed, ingest.lease)
        if made is None:
            raise ClaimLost(f"the claim of pipeline {claimed.id} is gone")
        failpoint("pipeline.taken", claimed.id)
    tally.created += made
    room.made += made


def _jobs_of(claimed: ClaimedPipeline, found: list[Found], tally: Tally) -> Iterator[NewItem]:
    """Without those whose address is none that is fetched from."""
    stored = claimed.source["type"] == SourceType.STORAGE
    for item in found:
        if not stored:
            try:
                parse_url(item.location)
            except InvalidUrl:
                tally.skipped += 1
                continue
        source = {"key": item.location} if stored else {"url": item.location}
        yield NewItem(item.key, item.location, source)


def _uploads_of(recipe: dict[str, Any]) -> set[uuid.UUID]:
    """The images of watermarks."""
    steps = (step for output in recipe["outputs"] for step in output.get("operations", ()))
    images = (step.get("image") for step in steps)
    return {uuid.UUID(image["upload_id"]) for image in images if isinstance(image, dict) and "upload_id" in image}
