"""A job that repeats another: the same source, recipe and receivers, with a life of its own."""

import uuid

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import RENDER_QUEUES, Priority, QueueName
from pixmill_shared.database.models import Generation, Job, JobUpload
from pixmill_shared.domain.generation import Fallback, Form
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import generations, jobs
from pixmill_shared.service.cutting import cut
from pixmill_shared.settings.generation import ChunkSettings


def repeat_job(session: Session, origin_id: uuid.UUID, *, request_id: str | None = None) -> uuid.UUID | None:
    """The id of the new job, which points back by ``retry_of``; None if there is no such job any more.

    A source whose bytes were stored already is not fetched again; of a job that generates all items are done again, but
    for pictures that its cache finds. The origin's row stays as it is, and may not be
    deleted before the transaction ends.
    """
    origin = session.get(Job, origin_id, with_for_update={"read": True, "key_share": True})
    if origin is None:
        return None
    generation = generations.find(session, origin_id)
    if generation is not None:
        repeated = generations.insert(session, _generating_like(session, origin, generation, request_id))
    else:
        repeated = jobs.insert(session, _like(origin, request_id))
    # So that a sweep does not take the images of its watermarks.
    used = select(literal(repeated), JobUpload.upload_id).where(JobUpload.job_id == origin_id)
    session.execute(insert(JobUpload).from_select(["job_id", "upload_id"], used))
    return repeated


def _like(origin: Job, request_id: str | None) -> jobs.NewJob:
    stored = origin.source_key is not None
    return jobs.NewJob(
        project=origin.project,
        stage=Stage.RENDER if stored else Stage.FETCH,
        queue=RENDER_QUEUES[Priority.of_rank(origin.priority)] if stored else QueueName.FETCH,
        priority=origin.priority,
        source=origin.source,
        source_key=origin.source_key,
        source_sha256=origin.source_sha256,
        recipe=origin.recipe,
        api_key_id=origin.api_key_id,
        metadata=origin.job_metadata,
        webhook_url=origin.webhook_url,
        request_id=request_id,
        destination=origin.destination,
        retry_of=origin.id,
        preset=origin.preset,
        preset_version=origin.preset_version,
    )


def _generating_like(
    session: Session, origin: Job, generation: Generation, request_id: str | None
) -> generations.NewGeneration:
    settings = ChunkSettings.load()
    return generations.NewGeneration(
        project=origin.project,
        priority=origin.priority,
        recipe=origin.recipe,
        items=cut(generations.items_of(session, origin.id), settings.size),
        categories=generation.categories,
        at_once=settings.at_once,
        fallback=Fallback(generation.fallback),
        cache=generation.cache,
        form=Form(generation.form),
        api_key_id=origin.api_key_id,
        metadata=origin.job_metadata,
        webhook_url=origin.webhook_url,
        request_id=request_id,
        destination=origin.destination,
        retry_of=origin.id,
        preset=origin.preset,
        preset_version=origin.preset_version,
    )
