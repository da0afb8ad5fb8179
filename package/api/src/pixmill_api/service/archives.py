"""Archives of the outputs of a job or a batch, made while they are sent."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import iterate_in_threadpool

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict, NotFound, TooEarly
from pixmill_api.repositories import archive_entries
from pixmill_api.service.job_documents import found_job
from pixmill_api.service.zipping import named_of_batch, named_of_job, zipped
from pixmill_shared.database.models import Batch
from pixmill_shared.domain.jobs import TERMINAL, JobStatus
from pixmill_shared.storage import ObjectNotFound


@dataclass(frozen=True)
class Stream:
    """``etag`` None: what is in it may still change. ``blocks`` have not begun."""

    filename: str
    etag: str | None
    blocks: Iterator[bytes]


def stream_job(context: Context, caller: Caller, job_id: uuid.UUID) -> Stream:
    """Raises NotFound, and Conflict or TooEarly for a job that is not completed."""
    with context.runtime.database.session_scope() as session:
        job = found_job(session, caller, job_id)
        if job.status in TERMINAL and job.status != JobStatus.COMPLETED:
            raise Conflict(f"The job has no outputs: it is {job.status}.")
        if job.status != JobStatus.COMPLETED:
            raise TooEarly("The job has no outputs yet. Wait until it is completed.")
        entries = archive_entries.of_job(session, job_id)
        digest = archive_entries.contents_of_job(session, job_id).digest
    return Stream(f"{job_id}.zip", _etag(digest), zipped(named_of_job(entries), context.runtime.store))


def stream_batch(context: Context, caller: Caller, batch_id: uuid.UUID) -> Stream:
    """Of its completed jobs. Raises NotFound, and TooEarly while there are none."""
    with context.runtime.database.session_scope() as session:
        batch = found_batch(session, caller, batch_id)
        contents = archive_entries.contents_of_batch(session, batch_id)
    if not contents.files:
        raise nothing_in(batch)
    etag = _etag(contents.digest) if batch.finished_at is not None else None
    named = named_of_batch(context.runtime.database, batch_id)
    return Stream(f"{batch_id}.zip", etag, zipped(named, context.runtime.store))


def begun(stream: Stream) -> Iterator[bytes]:
    """The blocks, of which the first has been made: what fails before anything is sent is answered with a problem.

    Raises NotFound and StorageUnavailable.
    """
    try:
        return chain([next(stream.blocks)], stream.blocks)
    except ObjectNotFound:
        raise NotFound("A file of it is gone.") from None


async def sent(blocks: Iterator[bytes], stream: Stream) -> AsyncIterator[bytes]:
    """A thread for the making of each block, and none while it is sent. When the client goes, the making ends."""
    try:
        async for block in iterate_in_threadpool(blocks):
            yield block
    finally:
        closing: Any = stream.blocks
        closing.close()


def found_batch(session: Session, caller: Caller, batch_id: uuid.UUID) -> Batch:
    """Raises NotFound, for another project's batch too."""
    batch = session.scalar(select(Batch).where(Batch.id == batch_id, Batch.project == caller.project))
    if batch is None:
        raise NotFound("There is no such batch.")
    return batch


def nothing_in(batch: Batch) -> Conflict | TooEarly:
    """Why there is no archive of it."""
    if batch.finished_at is not None:
        return Conflict("No job of the batch has completed.")
    return TooEarly("No job of the batch has completed yet.")


def _etag(digest: str) -> str:
    """Weak: the same files, whose times in the archive are those of its making."""
    return f'W/"{digest[:32]}"'
