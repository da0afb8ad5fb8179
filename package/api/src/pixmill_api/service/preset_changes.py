"""Presets that administrators write: a new version each time, none of which ever changes."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller
from pixmill_api.domain.etags import matches
from pixmill_api.errors import Conflict, NotFound, PreconditionFailed
from pixmill_api.preset_schemas import PresetRequest
from pixmill_api.repositories import presets
from pixmill_api.repositories.presets import Version
from pixmill_api.service.presets import builtin_version, etag_of
from pixmill_api.service.watermarks import with_digests
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import Recipe
from pixmill_shared.repositories import audit, pipelines
from pixmill_shared.repositories.audit import Action


class Change(NamedTuple):
    """Who changes which preset, and the ``If-Match`` that it came with."""

    caller: Caller
    name: str
    if_match: str | None
    request_id: str


def put_preset(session: Session, change: Change, request: PresetRequest, recipe: Recipe) -> tuple[Version, bool]:
    """The version that counts now, and whether it is the first of the preset. What says the same is no new version.

    Raises InvalidRequest if an image of a watermark is no upload of the project, and PreconditionFailed.
    """
    project = change.caller.project
    own = _locked(session, change)
    canonical = with_digests(session, project, recipe, _of_recipe).canonical()
    if own is not None and (own.recipe, own.description) == (canonical, request.description):
        return own, False
    added = presets.add(session, project, change.name, canonical, request.description)
    pipelines.follow(session, project, change.name, added.version, canonical)
    _note(session, change, Action.PRESET_PUT, added.version)
    return added, own is None


def delete_preset(session: Session, change: Change) -> None:
    """Every version of it is gone, for jobs to come. Raises NotFound, PreconditionFailed, and Conflict for a built-in
    one.
    """
    own = _locked(session, change)
    if own is None:
        if builtin_version(change.name) is None:
            raise NotFound("There is no such preset.")
        raise Conflict("The preset is built in. Put one of your own under its name to have it do something else.")
    deletion = presets.add(session, change.caller.project, change.name, None)
    _note(session, change, Action.PRESET_DELETED, deletion.version)


def _locked(session: Session, change: Change) -> Version | None:
    """The project's own newest version, which nobody else may change until the transaction ends."""
    presets.lock(session, change.caller.project, change.name)
    own = presets.find(session, change.caller.project, change.name)
    shown = own or builtin_version(change.name)
    if change.if_match is not None and not matches(change.if_match, etag_of(shown) if shown else None):
        raise PreconditionFailed("The preset is not the one that If-Match names. Look at it again, and decide anew.")
    return own


def _of_recipe(pointer: str, detail: str) -> JsonError:
    return JsonError(f"/recipe{pointer}", detail)


def _note(session: Session, change: Change, action: Action, version: int) -> None:
    caller = change.caller
    audit.record(
        *(session, action, change.name),
        project=caller.project,
        actor=caller.name,
        detail={"version": version},
        request_id=change.request_id,
    )
