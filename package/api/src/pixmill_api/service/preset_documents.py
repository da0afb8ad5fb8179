"""Presets as clients see them."""

from typing import Any

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.builtin_presets import BUILTIN, BUILTIN_VERSION
from pixmill_api.domain.presets import Reference, cursor_after
from pixmill_api.errors import NotFound
from pixmill_api.repositories import presets
from pixmill_api.repositories.presets import Version
from pixmill_api.service.presets import builtin_version, etag_of, find_version
from pixmill_shared.domain.moments import utc


def find_preset(context: Context, caller: Caller, name: str, version: int | None) -> tuple[dict[str, Any], str]:
    """The document and its entity tag. Raises NotFound."""
    with context.runtime.database.session_scope() as session:
        found = find_version(session, caller.project, Reference(name, version))
    if found is None:
        raise NotFound("There is no such preset.")
    return shown(found, context)


def list_presets(context: Context, caller: Caller, *, limit: int, after: str | None) -> dict[str, Any]:
    """One page, by name, with the built-in ones between the project's own."""
    with context.runtime.database.session_scope() as session:
        own = presets.page(session, caller.project, limit=limit, after=after)
    # A page of one more than ``limit`` rows is cut before anything that a row beyond it could hide.
    found = {name: builtin_version(name) for name in BUILTIN if after is None or name > after}
    found |= {version.name: version for version in own}
    merged = [version for _, version in sorted(found.items()) if version is not None]
    page, more = merged[:limit], len(merged) > limit
    data = [shown(version, context)[0] for version in page]
    return {"data": data, "next_cursor": cursor_after(page[-1].name) if more else None, "has_more": more}


def shown(version: Version, context: Context) -> tuple[dict[str, Any], str]:
    """The document and its entity tag."""
    document = {
        "name": version.name,
        "version": version.version,
        "builtin": version.version == BUILTIN_VERSION,
        "description": version.description,
        "recipe": version.recipe,
        "created_at": utc(version.created_at),
        "urls": {"self": f"{context.public_url}/api/v1/presets/{version.name}"},
    }
    return document, etag_of(version)
