"""Archives of batches that are built once and kept for a while: asked for, looked at."""

import uuid
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import NotFound, TooEarly
from pixmill_api.repositories import archive_entries
from pixmill_api.service.archives import found_batch, nothing_in
from pixmill_api.service.task_requests import shown_result, task_document
from pixmill_api.task_schemas import TaskState
from pixmill_shared.contract.payloads import ArchivePayload
from pixmill_shared.contract.queues import Priority
from pixmill_shared.contract.requests import BUILD_ARCHIVE
from pixmill_shared.database.models import TaskRequest
from pixmill_shared.repositories import task_requests

BUILDING: Final = (TaskState.QUEUED, TaskState.RUNNING)
_UNDER_WAY: Final = "Jobs of the batch are still under way. Wait for its end, or stream outputs.zip."


def ask_for_archive(
    context: Context, session: Session, caller: Caller, batch_id: uuid.UUID, *, request_id: str
) -> dict[str, Any]:
    """The archive of what is in the batch now, which is built unless it is there or being built.

    Raises NotFound; TooEarly while jobs are under way, since it would change; Conflict if none has completed.
    """
    batch = found_batch(session, caller, batch_id)
    if batch.finished_at is None:
        raise TooEarly(_UNDER_WAY)
    task_requests.lock_batch(session, batch_id)
    contents = archive_entries.contents_of_batch(session, batch_id)
    if not contents.files:
        raise nothing_in(batch)
    known = task_requests.find_archive(
        session, batch_id, caller.project, state=contents.digest, usable_for=context.archives.ttl
    )
    return _document(context, batch_id, known or _asked(session, caller, batch_id, contents.digest, request_id))


def find_archive(context: Context, caller: Caller, batch_id: uuid.UUID) -> dict[str, Any]:
    """The last one that was asked for. Raises NotFound, of one whose time is over too; TooEarly of a batch that can
    have none yet."""
    with context.runtime.database.session_scope() as session:
        batch = found_batch(session, caller, batch_id)
        row = task_requests.find_archive(session, batch_id, caller.project)
        if row is None and batch.finished_at is None:
            raise TooEarly(_UNDER_WAY)
        if row is None:
            raise NotFound("Nobody has asked for an archive of the batch.")
        document = _document(context, batch_id, row)
    if document["state"] == TaskState.SUCCEEDED and document["url"] is None:
        raise NotFound("The archive was deleted, as its time was over. Ask for another one.")
    return document


def _asked(session: Session, caller: Caller, batch_id: uuid.UUID, state: str, request_id: str) -> TaskRequest:
    made = task_requests.insert(
        session,
        BUILD_ARCHIVE,
        dict(ArchivePayload(batch_id=str(batch_id), state=state)),
        project=caller.project,
        priority=Priority.NORMAL,
        requested_by=caller.name,
        request_id=request_id,
    )
    return session.get_one(TaskRequest, made)


def _document(context: Context, batch_id: uuid.UUID, row: TaskRequest) -> dict[str, Any]:
    task, result = task_document(context, row), shown_result(context, row) or {}
    return {
        **{name: task[name] for name in ("task_id", "state", "error", "created_at", "finished_at")},
        "batch_id": str(batch_id),
        **{name: result.get(name) for name in ("url", "files", "bytes", "sha256", "expires_at")},
        "urls": {"self": f"{context.public_url}/api/v1/batches/{batch_id}/archive"},
    }
