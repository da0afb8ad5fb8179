"""The render stage of a job: what exists is linked, the rest is made and stored, then one transaction ends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pixmill_imaging.domain.rendition import rendition_key
from pixmill_imaging.service.assets import Assets, fonts_of, uploads_of
from pixmill_imaging.service.render import Rendered, Rendering, render
from pixmill_imaging.wiring import Engine
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.recipe import Output, Recipe, parse_recipe, recipe_hash
from pixmill_shared.repositories import jobs, renditions
from pixmill_shared.storage import ObjectNotFound, ObjectStore


@dataclass(frozen=True)
class _Planned:
    """An output of the recipe and the address of its rendition."""

    position: int
    output: Output
    hash: str
    key: str


def render_and_finish(job: jobs.ClaimedJob, database: Database, store: ObjectStore, engine: Engine) -> None:
    """Raises PermanentError for bytes that are no picture, TransientError while the storage is away.

    Objects that no row came to name (a lost claim, an error half-way) are removed again.
    """
    recipe = parse_recipe(job.recipe)
    assets = Assets(uploads_of(job, database, store), engine.loader, engine.limits, engine.fonts)
    rendering = render(_bytes_of(job, store), recipe, engine.loader, engine.limits, assets)
    plan = _plan(recipe, rendering.source.sha256, engine)
    with database.session_scope() as session:
        known = renditions.find(session, [planned.key for planned in plan])
    missing = {key: row["storage_key"] for key, row in known.items() if not store.exists(row["storage_key"])}
    linked = [_linked(p, known[p.key]) for p in plan if p.key in known and p.key not in missing]
    written: list[str] = []
    try:
        made = _make(rendering, [p for p in plan if p.key not in known or p.key in missing], missing, store, written)
    except BaseException:
        _remove(store, written)
        raise
    rows = [*linked, *({**row, "engine": engine.name} for row in made)]
    # If this commit is cut off, nobody knows whether it took place: the objects stay, and a sweep of objects
    # without a row decides later.
    with database.session_scope() as session:
        kept = jobs.complete(session, job, found=_found(rendering), sha256=rendering.source.sha256, made=rows)
    _remove(store, set(written) - set(kept or []))


def _remove(store: ObjectStore, keys: Iterable[str]) -> None:
    for key in keys:
        store.delete(key)


def _bytes_of(job: jobs.ClaimedJob, store: ObjectStore) -> bytes:
    if job.source_key is None:
        raise ObjectNotFound
    return store.get(job.source_key)


def _plan(recipe: Recipe, source_sha256: str, engine: Engine) -> list[_Planned]:
    hashes = [recipe_hash(output) for output in recipe.outputs]
    return [
        _Planned(
            *(position, output, digest),
            rendition_key(source_sha256, digest, engine.name + fonts_of(output, engine.fonts)),
        )
        for position, (output, digest) in enumerate(zip(recipe.outputs, hashes, strict=True))
    ]


def _make(
    rendering: Rendering, plan: list[_Planned], missing: dict[str, str], store: ObjectStore, written: list[str]
) -> list[dict[str, Any]]:
    """Store each output as soon as it is made; its name goes to ``written`` first."""
    by_name = {planned.output.name: planned for planned in plan}
    rows = []
    for rendered in rendering.outputs(by_name):
        planned, rendition_id = by_name[rendered.name], new_id()
        # The name ends in the row's id, so that a late delete can only ever hit this very object.
        key = f"renditions/{planned.key[:2]}/{planned.key}/{rendition_id}.{rendered.extension}"
        written.append(key)
        store.put(key, rendered.data, rendered.media_type)
        rows.append(
            {
                "id": str(rendition_id),
                "storage_key": key,
                "replaces": missing.get(planned.key),
                **_made(planned, rendered),
            }
        )
    return rows


def _made(planned: _Planned, rendered: Rendered) -> dict[str, Any]:
    return {
        "name": rendered.name,
        "position": planned.position,
        "cached": False,
        "key": planned.key,
        "recipe_hash": planned.hash,
        "format": rendered.format,
        "media_type": rendered.media_type,
        "width": rendered.width,
        "height": rendered.height,
        "bytes": len(rendered.data),
        "sha256": rendered.sha256,
        "thumbhash": rendered.thumbhash,
        "dominant_color": rendered.dominant_color,
        "frames": rendered.frames,
    }


def _linked(planned: _Planned, row: dict[str, Any]) -> dict[str, Any]:
    """An output that links what exists; its id is used only if the row was deleted since."""
    return {
        **row,
        "id": str(new_id()),
        "name": planned.output.name,
        "position": planned.position,
        "cached": True,
        "replaces": None,
    }


def _found(rendering: Rendering) -> dict[str, Any]:
    """What the job shows of its source, beside where it came from."""
    source = rendering.source
    return {
        "width": source.width,
        "height": source.height,
        "format": source.format,
        "bytes": source.bytes,
        "sha256": source.sha256,
    }
