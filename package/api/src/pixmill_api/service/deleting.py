"""Jobs and batches deleted: rows first, in one transaction; their objects when it is committed.

What a crash leaves in between are objects that no row names, which are swept (``pixmill_shared/service/sweeping.py``).
"""

import uuid
from collections.abc import Sequence

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict, NotFound
from pixmill_shared.domain.jobs import TERMINAL, JobStatus
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import deleting
from pixmill_shared.storage import ObjectStore, StorageUnavailable

log = get_logger(__name__)


def delete_job(context: Context, caller: Caller, job_id: uuid.UUID) -> list[str]:
    """The names of objects that are to be removed now. Raises NotFound, and Conflict for a job that has not ended."""
    with context.runtime.database.session_scope() as session:
        status = deleting.lock_job(session, job_id, caller.project)
        if status is None:
            raise NotFound("There is no such job.")
        if JobStatus(status) not in TERMINAL:
            raise Conflict(f"The job is {status}. Cancel it first.")
        names = deleting.delete_job(session, job_id)
    failpoint("delete.committed", job_id)
    return names


def delete_batch(context: Context, caller: Caller, batch_id: uuid.UUID) -> list[str]:
    """With all its jobs; as ``delete_job``."""
    with context.runtime.database.session_scope() as session:
        ended = deleting.lock_batch(session, batch_id, caller.project)
        if ended is None:
            raise NotFound("There is no such batch.")
        if not ended:
            raise Conflict("The batch is still being worked on. Cancel it first.")
        names = deleting.delete_batch(session, batch_id)
    failpoint("delete.committed", batch_id)
    return names


def remove_objects(store: ObjectStore, names: Sequence[str]) -> None:
    """As far as the storage lets us: the client has its answer, and a sweep has the rest."""
    try:
        for name in names:
            store.delete(name)
    except StorageUnavailable:
        log.warning("objects without a row stay in the storage", objects=len(names))
