"""Batches: made, canceled, made again. Nothing is published here; the dispatcher sees the rows."""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.batch_reading import WantedBatch
from pixmill_api.errors import Conflict
from pixmill_api.service import quota
from pixmill_api.service.batch_documents import found_batch, shown_batch
from pixmill_api.service.batch_items import Items
from pixmill_api.service.submission import check_receiver, check_run_at
from pixmill_shared.database.models import Batch
from pixmill_shared.domain.ids import new_id
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import batches
from pixmill_shared.repositories.batches import NewBatch


def submit_batch(
    context: Context, session: Session, caller: Caller, wanted: WantedBatch, *, request_id: str
) -> dict[str, Any]:
    """The batch's document with its jobs. Raises QueueFull, QuotaExceeded, PresetRequired, and InvalidRequest if what
    it says for all its items is wrong, or each of them is.
    """
    options = wanted.options
    check_run_at(options.run_at, context.settings.max_delay)
    check_receiver(context, options.webhook_url)
    items = Items(context, session, caller, wanted)
    items.make()
    quota.admit(session, caller, len(items.made))
    context.backlog.admit(session, len(items.made))
    batch = NewBatch(
        *(new_id(), caller.project, len(items.made), options.priority.rank, items.rejected(), caller.api_key_id),
        webhook_url=options.webhook_url,
        metadata=options.metadata,
        request_id=request_id,
        run_at=options.run_at,
    )
    batches.insert(session, batch, items.made, items.recipes)
    failpoint("batch.inserted", batch.id)
    return _created(context, session, caller, batch.id, ((item.index, item.id) for item in items.made))


def cancel_batch(context: Context, caller: Caller, batch_id: uuid.UUID) -> dict[str, Any]:
    """The batch, all of whose jobs have ended. Raises NotFound, and Conflict if they had, none of them canceled."""
    with context.runtime.database.session_scope() as session:
        found_batch(session, caller, batch_id)
        batches.cancel(session, batch_id, caller.project)
        batch = found_batch(session, caller, batch_id)
        if not batch.canceled:
            raise Conflict(f"The batch has ended as {batch.status} already, and stays so.")
        return shown_batch(context, session, batch)


def retry_batch(
    context: Context, session: Session, caller: Caller, batch_id: uuid.UUID, *, request_id: str
) -> dict[str, Any]:
    """The new batch with its jobs, made of those that failed or were canceled.

    Raises NotFound, QueueFull, QuotaExceeded, and Conflict if there are none, or the batch has not ended.
    """
    origin = found_batch(session, caller, batch_id)
    if origin.finished_at is None:
        raise Conflict("The batch is still being worked on. Wait for its end, or cancel it.")
    count = batches.count_repeated(session, origin.id)
    if not count:
        raise Conflict("No job of the batch has failed or was canceled: there is nothing to make again.")
    quota.admit_again(context, session, caller, origin.api_key_id, count)
    context.backlog.admit(session, count)
    batch = _like(origin, count, request_id)
    made = batches.repeat(session, batch)
    if len(made) < count:
        raise Conflict("Jobs of the batch are being deleted.")
    return _created(context, session, caller, batch.id, ((row["index"], row["id"]) for row in made))


def _like(origin: Batch, total: int, request_id: str) -> NewBatch:
    return NewBatch(
        *(new_id(), origin.project, total, origin.priority),
        api_key_id=origin.api_key_id,
        webhook_url=origin.webhook_url,
        metadata=origin.batch_metadata,
        request_id=request_id,
        retry_of=origin.id,
    )


def _created(
    context: Context, session: Session, caller: Caller, batch_id: uuid.UUID, jobs: Iterable[tuple[int, object]]
) -> dict[str, Any]:
    document = shown_batch(context, session, found_batch(session, caller, batch_id))
    return {**document, "jobs": [{"index": index, "job_id": str(job_id)} for index, job_id in jobs]}
