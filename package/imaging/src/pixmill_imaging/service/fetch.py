"""Copy the source of a job into pixmill's storage, in constant memory, and queue the job for rendering."""

import hashlib
import uuid
from collections.abc import Iterator

from pixmill_imaging.domain.percent import FETCHED
from pixmill_imaging.service.origins import opened
from pixmill_shared.contract.queues import RENDER_QUEUES, Priority
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.objects import source_name
from pixmill_shared.egress import EgressClient
from pixmill_shared.failpoints import failpoint
from pixmill_shared.progress.reports import Report, untold
from pixmill_shared.repositories import jobs
from pixmill_shared.service.claims import Check, unchecked
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.storage import ObjectStore
from pixmill_shared.storage.places import Places


class _Tally:
    """Counts and hashes what passes, of ``announced`` bytes if that is known, and tells how far it is."""

    def __init__(self, job_id: uuid.UUID, check: Check, report: Report, announced: int | None) -> None:
        self.bytes = 0
        self._report = report
        self._announced = announced
        self._check = check
        self._job_id = job_id
        self._sha256 = hashlib.sha256()

    def passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bytes += len(chunk)
            self._sha256.update(chunk)
            failpoint("fetch.chunk", self._job_id)
            self._check()
            if self._announced:
                self._report(FETCHED * min(self.bytes / self._announced, 1))
            yield chunk

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def fetch(
    job: jobs.ClaimedJob,
    database: Database,
    store: ObjectStore,
    egress: EgressClient,
    settings: EgressSettings,
    sources: Places | None = None,
    *,
    check: Check = unchecked,
    report: Report = untold,
) -> None:
    """Raises the errors of ``egress``, ``storage`` and ``check``; what was stored for a lost claim is removed again."""
    key = source_name(job.id, job.fence)
    report(0)
    with opened(job.source, egress, sources, settings) as source:
        tally = _Tally(job.id, check, report, source.bytes)
        store.put_stream(key, tally.passing(source.chunks), "application/octet-stream")
    failpoint("fetch.stored", job.id)
    with database.session_scope() as session:
        advanced = jobs.advance(
            session,
            job,
            stage=Stage.RENDER,
            queue=RENDER_QUEUES[Priority.of_rank(job.priority)],
            source_key=key,
            source_sha256=tally.sha256,
            found={"bytes": tally.bytes, "sha256": tally.sha256},
            progress=FETCHED,
        )
    failpoint("fetch.committed", job.id)
    if not advanced:
        store.delete(key)
