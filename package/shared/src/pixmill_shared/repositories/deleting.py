"""Jobs and batches that have ended, deleted with all that is theirs. Prepared SQL.

Events, outputs and deliveries go with their jobs by cascade. A rendition goes with the last output that links it: its
row is locked first, and looked at again by a statement of its own, which sees who linked it while the lock was waited
for. A job that is about to link it holds that lock (``renditions.lock``), or finds the row gone and makes it anew.
"""

import uuid
from collections.abc import Sequence
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.objects import is_source

_LOCK_JOB: Final = Prepared("SELECT status FROM jobs WHERE id = $1 AND project = $2 FOR UPDATE", "uuid", "text")

_LOCK_BATCH: Final = Prepared(
    "SELECT finished_at IS NOT NULL AS ended FROM batches WHERE id = $1 AND project = $2 FOR UPDATE", "uuid", "text"
)

_JOBS_OF: Final = Prepared("SELECT id FROM jobs WHERE batch_id = $1 ORDER BY id FOR UPDATE", "uuid")

_LINKED: Final = Prepared("SELECT DISTINCT rendition_id AS id FROM outputs WHERE job_id = ANY($1::uuid[])", "text[]")

_DELETE_JOBS: Final = Prepared("DELETE FROM jobs WHERE id = ANY($1::uuid[]) RETURNING source_key", "text[]")

# In the order in which those who link lock them.
_LOCK_RENDITIONS: Final = Prepared(
    "SELECT id FROM renditions WHERE id = ANY($1::uuid[]) ORDER BY key FOR UPDATE", "text[]"
)

# Of what somebody else has locked just now, the next clean-up looks whether it is needed.
_TRY_RENDITIONS: Final = Prepared(
    "SELECT id FROM renditions WHERE id = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED", "text[]"
)

_DELETE_RENDITIONS: Final = Prepared(
    """
    DELETE FROM renditions r
    WHERE r.id = ANY($1::uuid[]) AND NOT EXISTS (SELECT FROM outputs o WHERE o.rendition_id = r.id)
    RETURNING storage_key
    """,
    "text[]",
)

_UNUSED_SOURCES: Final = Prepared(
    """
    SELECT key FROM unnest($1) AS source(key)
    WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.source_key = source.key AND j.source_key IS NOT NULL)
    """,
    "text[]",
)

# The event of a batch has its id.
_DELETE_DELIVERIES: Final = Prepared("DELETE FROM deliveries WHERE event_id = $1", "uuid")

_DELETE_BATCH: Final = Prepared("DELETE FROM batches WHERE id = $1", "uuid")


def lock_job(session: Session, job_id: uuid.UUID, project: str) -> str | None:
    """Its status, which stays so until the transaction ends; None: there is no such job."""
    rows = _LOCK_JOB.run(session, job_id, project)
    return str(rows[0]["status"]) if rows else None


def lock_batch(session: Session, batch_id: uuid.UUID, project: str) -> bool | None:
    """Has it ended? None: there is no such batch. Nobody makes anything of it until the transaction ends."""
    rows = _LOCK_BATCH.run(session, batch_id, project)
    return bool(rows[0]["ended"]) if rows else None


def delete_job(session: Session, job_id: uuid.UUID) -> list[str]:
    """The names of objects that nobody needs once the transaction is committed. The job is locked, and has ended."""
    return _delete_jobs(session, [str(job_id)])


def delete_batch(session: Session, batch_id: uuid.UUID) -> list[str]:
    """As ``delete_job``, with all its jobs."""
    names = _delete_jobs(session, [str(row["id"]) for row in _JOBS_OF.run(session, batch_id)])
    _DELETE_DELIVERIES.run(session, batch_id)
    _DELETE_BATCH.run(session, batch_id)
    return names


def delete_jobs(session: Session, ids: Sequence[str]) -> list[str]:
    """As ``delete_job``, of many that are locked; waits for nobody who has a lock on a rendition."""
    return _delete_jobs(session, ids, _TRY_RENDITIONS)


def delete_unlinked_renditions(session: Session, ids: Sequence[str]) -> list[str]:
    """Those of ``ids`` that no output links, and that nobody has locked; the names of their objects."""
    return _delete_renditions(session, ids, _TRY_RENDITIONS)


def _delete_jobs(session: Session, ids: Sequence[str], lock: Prepared = _LOCK_RENDITIONS) -> list[str]:
    linked = [str(row["id"]) for row in _LINKED.run(session, ids)]
    sources = {row["source_key"] for row in _DELETE_JOBS.run(session, ids)}
    names = _delete_renditions(session, linked, lock)
    # Uploads are people's: those that no job uses any more are swept in their time.
    copied = sorted(key for key in sources if key is not None and is_source(key))
    return names + [row["key"] for row in _UNUSED_SOURCES.run(session, copied)]


def _delete_renditions(session: Session, ids: Sequence[str], lock: Prepared) -> list[str]:
    locked = [str(row["id"]) for row in lock.run(session, ids)]
    return [row["storage_key"] for row in _DELETE_RENDITIONS.run(session, locked)]
