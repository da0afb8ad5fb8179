"""Presets: recipes under a name, in versions. A job keeps the recipe that it started with."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller
from pixmill_api.domain.builtin_presets import BUILTIN, BUILTIN_VERSION
from pixmill_api.domain.presets import Reference, parse_reference
from pixmill_api.errors import InvalidRequest, PresetRequired
from pixmill_api.repositories import presets
from pixmill_api.repositories.presets import Version
from pixmill_api.service.watermarks import with_digests
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import TAKEN, Recipe, parse_recipe


@dataclass(frozen=True)
class ResolvedRecipe:
    """What a job does, with its watermarks pinned. ``preset`` and ``version``: where it came from, or None."""

    recipe: Recipe
    preset: str | None = None
    version: int | None = None

    def error(self, at: str, pointer: str, detail: str) -> JsonError:
        """``pointer`` is into the recipe, ``at`` is where the request has its ``recipe`` or ``preset``."""
        if self.preset is not None:
            return JsonError(f"{at}/preset", f"is a recipe in which {pointer} {detail}")
        return JsonError(f"{at}/recipe{pointer}", detail)


def resolve_recipe(
    session: Session, caller: Caller, recipe: Recipe | None, preset: str | None, pointer: str = ""
) -> ResolvedRecipe:
    """Of a request that has one of the two; ``pointer`` is to the object that holds it ("" for the whole body).

    Raises PresetRequired if the key may name presets only, and InvalidRequest if there is no such preset, or an image
    of a watermark is no upload of the project.
    """
    if recipe is not None:
        if caller.presets_only:
            raise PresetRequired
        return _pinned(session, caller, ResolvedRecipe(recipe), pointer)
    reference = parse_reference(preset or "")
    found = reference and find_version(session, caller.project, reference)
    if found is None:
        raise InvalidRequest([JsonError(f"{pointer}/preset", "there is no such preset")])
    named = ResolvedRecipe(parse_recipe(found.recipe, TAKEN), found.name, found.version)
    return _pinned(session, caller, named, pointer)


def find_version(session: Session, project: str, reference: Reference) -> Version | None:
    """Of the project, else the built-in one; None: there is none, or none any more."""
    if reference.version != BUILTIN_VERSION:
        own = presets.find(session, project, reference.name, reference.version)
        if own is not None or reference.version is not None:
            return own
    return builtin_version(reference.name)


def builtin_version(name: str) -> Version | None:
    return _BUILTIN.get(name)


def etag_of(version: Version) -> str:
    """The entity tag: numbers are never given twice."""
    return f'"{version.version}"'


def _pinned(session: Session, caller: Caller, chosen: ResolvedRecipe, at: str) -> ResolvedRecipe:
    recipe = with_digests(session, caller.project, chosen.recipe, lambda where, what: chosen.error(at, where, what))
    return ResolvedRecipe(recipe, chosen.preset, chosen.version)


def _canonical(name: str) -> dict[str, Any]:
    return parse_recipe(BUILTIN[name].recipe).canonical()


_BUILTIN: Final = {
    name: Version(name, BUILTIN_VERSION, _canonical(name), preset.description, None) for name, preset in BUILTIN.items()
}
