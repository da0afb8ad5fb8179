"""Pipelines of a project: made, changed, paused, asked to run. What runs is for workers; the rows say what."""

import uuid
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import InvalidRequest, TooMany
from pixmill_api.pipeline_schemas import PipelineChange, PipelineRequest, PipelineSource
from pixmill_api.repositories import pipeline_views
from pixmill_api.service.auditing import note
from pixmill_api.service.pipeline_documents import found, pipeline_document, run_document
from pixmill_api.service.places import destination_address, source_prefix
from pixmill_api.service.presets import ResolvedRecipe, resolve_recipe
from pixmill_api.service.submission import check_receiver
from pixmill_shared.database.models import Pipeline
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.places import Place
from pixmill_shared.egress.guard import forbidden_literal
from pixmill_shared.repositories import clock, pipelines
from pixmill_shared.repositories.audit import Action
from pixmill_shared.service import pipelines as steering
from pixmill_shared.service.cron import next_time
from pixmill_shared.settings.broker import BrokerSettings


def create(context: Context, session: Session, caller: Caller, body: PipelineRequest) -> dict[str, Any]:
    """It looks for the first time when the cron expression says. Raises InvalidRequest, and TooMany if the project has
    enough.
    """
    most = context.settings.max_pipelines
    if pipeline_views.count(session, caller.project) >= most:
        raise TooMany(f"The project has {most} pipelines already. Delete one that is not needed.")
    zone = body.timezone or BrokerSettings.load().timezone
    row = Pipeline(
        id=new_id(),
        project=caller.project,
        name=body.name,
        cron=body.cron,
        timezone=zone,
        priority=body.priority.rank,
        job_metadata=body.metadata or {},
        api_key_id=caller.api_key_id,
        run_at=next_time(body.cron, zone, clock.now(session)),
        paused_at=func.clock_timestamp() if body.paused else None,
    )
    _aim(context, row, body.source)
    chosen = resolve_recipe(session, caller, None, body.preset)
    _name_preset(row, body.preset, chosen)
    _send_to(context, row, body.webhook_url)
    row.destination = body.destination
    _place(context, row, chosen)
    session.add(row)
    session.flush()
    session.refresh(row)
    note(session, caller, Action.PIPELINE_CREATED, row.id, {"name": row.name})
    return pipeline_document(context, row)


def change(context: Context, caller: Caller, pipeline_id: uuid.UUID, body: PipelineChange) -> dict[str, Any]:
    """A run that is under way ends. With a new source what was known of the old one's answers is forgotten, and so are
    its failures and the pause after them; what became a job stays known. Raises NotFound and InvalidRequest.
    """
    with context.runtime.database.session_scope() as session:
        row, given = found(session, caller, pipeline_id, lock=True), body.model_fields_set
        row.name = body.name or row.name
        if body.source is not None:
            _aim(context, row, body.source)
            row.cursor = {}
            steering.forgive(session, row)
        if body.priority is not None:
            row.priority = body.priority.rank
        if "webhook_url" in given:
            _send_to(context, row, body.webhook_url)
        if "metadata" in given:
            row.job_metadata = body.metadata or {}
        row.destination = body.destination if "destination" in given else row.destination
        if given & {"destination", "source", "preset"}:
            chosen = resolve_recipe(session, caller, None, body.preset or row.preset)
            if body.preset is not None:
                _name_preset(row, body.preset, chosen)
            _place(context, row, chosen)
        row.cron, row.timezone = body.cron or row.cron, body.timezone or row.timezone
        if any(each is not None for each in (body.source, body.cron, body.timezone)):
            row.run_at = next_time(row.cron, row.timezone, clock.now(session))
        pipelines.interrupt(session, row)
        note(session, caller, Action.PIPELINE_CHANGED, row.id, {"changed": sorted(given)})
        return _changed(context, session, row)


def delete(context: Context, caller: Caller, pipeline_id: uuid.UUID) -> None:
    """Its jobs stay. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        row = found(session, caller, pipeline_id, lock=True)
        steering.clear_alert(session, row.id)
        session.delete(row)
        note(session, caller, Action.PIPELINE_DELETED, pipeline_id)


def pause(context: Context, caller: Caller, pipeline_id: uuid.UUID) -> dict[str, Any]:
    """A run that is under way ends, and those that wait are canceled. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        row = found(session, caller, pipeline_id, lock=True)
        if steering.pause(session, row):
            note(session, caller, Action.PIPELINE_CHANGED, row.id, {"changed": ["paused"]})
        return _changed(context, session, row)


def resume(context: Context, caller: Caller, pipeline_id: uuid.UUID) -> dict[str, Any]:
    """It looks again at its next time; what failed before is forgotten. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        row = found(session, caller, pipeline_id, lock=True)
        if steering.resume(session, row):
            note(session, caller, Action.PIPELINE_CHANGED, row.id, {"changed": ["paused"]})
        return _changed(context, session, row)


def request_run(
    context: Context, session: Session, caller: Caller, pipeline_id: uuid.UUID, *, dry_run: bool, request_id: str
) -> dict[str, Any]:
    """The run, which a worker begins at once; one that waits already is the one. Raises NotFound."""
    row = found(session, caller, pipeline_id, lock=True)
    run = steering.request_run(session, row, dry_run=dry_run, requested_by=caller.name, request_id=request_id)
    return run_document(context, run)


def _changed(context: Context, session: Session, row: Pipeline) -> dict[str, Any]:
    row.updated_at = func.clock_timestamp()
    session.flush()
    session.refresh(row)
    return pipeline_document(context, row)


def _aim(context: Context, row: Pipeline, source: PipelineSource) -> None:
    kept = source.model_dump(mode="json", exclude_none=True)
    if source.prefix is not None:
        kept["prefix"] = source_prefix(context, source.prefix)
    if source.url is not None and (forbidden := forbidden_literal(source.url, context.egress_allow)):
        raise InvalidRequest([JsonError("/source/url", forbidden)])
    row.source = kept


def _name_preset(row: Pipeline, preset: str, chosen: ResolvedRecipe) -> None:
    row.preset, row.preset_version, row.recipe = preset, chosen.version, chosen.recipe.canonical()


def _send_to(context: Context, row: Pipeline, webhook_url: str | None) -> None:
    check_receiver(context, webhook_url)
    row.webhook_url = webhook_url


def _place(context: Context, row: Pipeline, chosen: ResolvedRecipe) -> None:
    """Outputs may not come back as sources."""
    row.destination = destination_address(context, row.destination, chosen)
    if row.destination is not None and "prefix" in row.source:
        prefix, destination = Place.parse(row.source["prefix"]), Place.parse(row.destination)
        if prefix.holds(destination) or destination.holds(prefix):
            raise InvalidRequest([JsonError("/destination", "overlaps the prefix that the pipeline watches")])
