"""A job that generates pictures comes into being: with its chunks and items, in one transaction."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import InvalidRequest, NotOffered
from pixmill_api.generation_reading import WantedThing
from pixmill_api.service import quota
from pixmill_api.service.places import destination_address
from pixmill_api.service.presets import ResolvedRecipe, resolve_recipe
from pixmill_api.service.submission import check_receiver, check_run_at
from pixmill_api.service.watermarks import uploads_named_by
from pixmill_api.thing_schemas import MOST_OUTPUTS, GenerationOptions
from pixmill_shared.domain.generation import PREFIXES, SAFE_LENGTH, Form
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import Output, Recipe
from pixmill_shared.domain.recipe.naming import DEFAULT_KEY
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import generations, uploads
from pixmill_shared.service.cutting import cut

_LONGEST_STEM: Final = "x" * (max(map(len, PREFIXES.values())) + SAFE_LENGTH + len("_YYYYMMDD_HHMMSS-"))
_DISTINGUISHING: Final = ("{name}", "{sha256}")


@dataclass(frozen=True)
class WantedGeneration:
    """A checked request. ``recipe`` None: of the preset that ``options`` name. ``categories`` in order, with those
    that nothing is in.
    """

    caller: Caller
    options: GenerationOptions
    things: Sequence[WantedThing]
    categories: Sequence[str]
    form: Form
    recipe: Recipe | None
    request_id: str
    destination: str | None = None
    session_id: str | None = None

    @property
    def metadata(self) -> dict[str, object]:
        session = {"session_id": self.session_id} if self.session_id is not None else {}
        return {**(self.options.metadata or {}), **session}


def refuse_if_off(context: Context) -> None:
    """Raises NotOffered."""
    if not context.generation.enabled:
        raise NotOffered("No pictures are generated here: IMAGE_GENERATION_ENABLED is false.")


def submit_generation(context: Context, session: Session, wanted: WantedGeneration) -> uuid.UUID:
    """The new job. Raises QueueFull, QuotaExceeded, PresetRequired, and InvalidRequest for what only settings or the
    database can tell to be wrong.
    """
    options = wanted.options
    check_run_at(options.run_at, context.settings.max_delay)
    check_receiver(context, options.webhook_url)
    chosen = resolve_recipe(session, wanted.caller, wanted.recipe, options.preset)
    _refuse_too_many(wanted, chosen)
    destination = _destination(context, wanted.destination, chosen)
    quota.admit(session, wanted.caller)
    context.backlog.admit(session)
    job_id = generations.insert(
        session,
        generations.NewGeneration(
            project=wanted.caller.project,
            priority=options.priority.rank,
            recipe=chosen.recipe.canonical(),
            items=cut(wanted.things, context.chunks.size),
            categories=wanted.categories,
            at_once=context.chunks.at_once,
            fallback=options.fallback,
            cache=options.cache,
            form=wanted.form,
            api_key_id=wanted.caller.api_key_id,
            metadata=wanted.metadata,
            webhook_url=options.webhook_url,
            request_id=wanted.request_id,
            destination=destination,
            run_at=options.run_at,
            preset=chosen.preset,
            preset_version=chosen.version,
        ),
    )
    uploads.note_use(session, job_id, uploads_named_by(chosen.recipe))
    failpoint("submit.inserted", job_id)
    return job_id


def _refuse_too_many(wanted: WantedGeneration, chosen: ResolvedRecipe) -> None:
    count = len(wanted.things) * len(chosen.recipe.outputs)
    if count > MOST_OUTPUTS:
        at = "/items" if wanted.form is Form.GENERAL else "/final_menu"
        detail = f"would have {count} outputs, with those of the recipe; a job may have {MOST_OUTPUTS}"
        raise InvalidRequest([JsonError(at, detail)])


def _destination(context: Context, destination: str | None, chosen: ResolvedRecipe) -> str | None:
    """As ``destination_address``, for outputs that are called after their items."""
    outputs = chosen.recipe.outputs
    longest = Recipe(tuple(replace(output, name=_LONGEST_STEM + output.name) for output in outputs))
    found = destination_address(context, destination, replace(chosen, recipe=longest))
    wrong = [
        chosen.error("", f"/outputs/{i}/key", "must have {name} or {sha256} in it: each item has a copy")
        for i, output in enumerate(outputs)
        if found is not None and not _distinguishes(output)
    ]
    if wrong:
        raise InvalidRequest(wrong)
    return found


def _distinguishes(output: Output) -> bool:
    return any(part in (output.key or DEFAULT_KEY) for part in _DISTINGUISHING)
