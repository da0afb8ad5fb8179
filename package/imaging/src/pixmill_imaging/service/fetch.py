"""Copy the source of a job into pixmill's storage, in constant memory, and queue the job for rendering."""

import hashlib
import uuid
from collections.abc import Iterator

from pixmill_imaging.service.origins import opened
from pixmill_shared.contract.queues import RENDER_QUEUES, Priority
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.objects import source_name
from pixmill_shared.egress import EgressClient
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import jobs
from pixmill_shared.service.claims import Check, unchecked
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.storage import ObjectStore
from pixmill_shared.storage.places import Places

FETCHED = 30
"""Progress in percent of a job whose source is there."""


class _Tally:
    """Counts and hashes what passes."""

    def __init__(self, job_id: uuid.UUID, check: Check) -> None:
        self.bytes = 0
        self._check = check
        self._job_id = job_id
        self._sha256 = hashlib.sha256()

    def passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bytes += len(chunk)
            self._sha256.update(chunk)
            failpoint("fetch.chunk", self._job_id)
            self._check()
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
) -> None:
    """Raises the errors of ``egress``, ``storage`` and ``check``; what was stored for a lost claim is removed again."""
    key = source_name(job.id, job.fence)
    tally = _Tally(job.id, check)
    with opened(job.source, egress, sources, settings) as chunks:
        store.put_stream(key, tally.passing(chunks), "application/octet-stream")
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
