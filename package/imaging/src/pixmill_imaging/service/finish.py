"""The render stage of a job: what exists is linked, the rest is made and stored, then one transaction ends it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pixmill_imaging.domain.percent import RenderProgress, begun
from pixmill_imaging.service.assets import Assets, uploads_of
from pixmill_imaging.service.copies import Copies
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.holding import Held, Row, hold
from pixmill_imaging.service.planning import Planned, plan_outputs
from pixmill_imaging.service.render import Rendered, Rendering, render
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import rendition_name
from pixmill_shared.domain.recipe import TAKEN, Recipe, parse_recipe
from pixmill_shared.errors import PermanentError, TransientError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.progress.reports import Report, untold
from pixmill_shared.repositories import jobs, renditions
from pixmill_shared.service.claims import Check, unchecked
from pixmill_shared.storage import ObjectNotFound, ObjectStore
from pixmill_shared.storage.places import Places


def render_and_finish(
    job: jobs.ClaimedJob,
    database: Database,
    store: ObjectStore,
    engine: Engine,
    destinations: Places | None = None,
    *,
    check: Check = unchecked,
    report: Report = untold,
) -> None:
    """Raises PermanentError for bytes that are no picture, TransientError while the storage is away, and what ``check``
    raises, which is called between the steps of the work. ``report`` is told how far it is.

    A job whose renditions all exist reads no source. One that needs what another job is making gives its claim back.
    Objects that no row came to name (a lost claim, an error half-way) are removed again.
    """
    progress = RenderProgress(report, begun(job.source))
    progress.begin()
    work = _Work(job, database, store, engine, Copies(job.id, job.destination, store, destinations), check, progress)
    plan = plan_outputs(work.recipe, work.source_sha256, engine)
    held = hold(job, database, store, {planned.key for planned in plan})
    if held is None:
        return
    try:
        found, made = work.make(plan, held)
        rows = [work.output(planned, held, made) for planned in plan]
    except BaseException:
        _remove(store, work.written)
        raise
    _finish(work, found, rows)


@dataclass
class _Work:
    """One claim; ``written`` are the names of the objects that it stored, or was about to."""

    job: jobs.ClaimedJob
    database: Database
    store: ObjectStore
    engine: Engine
    copies: Copies
    check: Check
    progress: RenderProgress
    written: list[str] = field(default_factory=list)

    @cached_property
    def recipe(self) -> Recipe:
        return parse_recipe(self.job.recipe, TAKEN)

    @cached_property
    def source(self) -> bytes:
        if self.job.source_key is None:
            raise ObjectNotFound
        return self.store.get(self.job.source_key)

    @cached_property
    def source_sha256(self) -> str:
        return self.job.source_sha256 or hashlib.sha256(self.source).hexdigest()

    def make(self, plan: list[Planned], held: Held) -> tuple[Row, dict[str, Row]]:
        """What the job shows of its source, and by key the rows of what did not exist."""
        missing = [planned for planned in plan if planned.key not in held.rows]
        facts = next((row["source_facts"] for row in held.rows.values() if row["source_facts"]), None)
        if facts is not None and not missing:
            return facts, {}
        rendering = self._opened()
        failpoint("body.opened", self.job.id)
        return found_in(rendering), self._made(rendering, missing, held)

    def output(self, planned: Planned, held: Held, made: dict[str, Row]) -> Row:
        """The row that links a rendition, new or known, once the output is at the job's destination too."""
        cached = planned.key in held.rows
        row = held.rows[planned.key] if cached else made[planned.key]
        return {
            **row,
            "id": str(row["id"]),
            "name": planned.output.name,
            "position": planned.position,
            "cached": cached,
            "copied_to": self.copies.address(planned.output, row),
        }

    def step(self) -> None:
        """Between two steps of the rendering."""
        self.check()
        self.progress.step()

    def _opened(self) -> Rendering:
        assets = Assets(
            uploads_of(self.job.project, self.database, self.store),
            self.engine.loader,
            self.engine.limits,
            self.engine.fonts,
        )
        rendering = render(self.source, self.recipe, self.engine.loader, self.engine.limits, assets, self.step)
        if rendering.source.sha256 != self.source_sha256:
            # Under the digest's address they would be served to whoever asks for the right ones.
            raise PermanentError(
                ErrorCode.SOURCE_NOT_FOUND, "The stored bytes of the source are not those that came in."
            )
        return rendering

    def _made(self, rendering: Rendering, missing: list[Planned], held: Held) -> dict[str, Row]:
        """Store each output as soon as it is made; its name goes to ``written`` first."""
        # Of outputs that differ by name only, the first is made.
        first = {planned.key: planned for planned in reversed(missing)}
        by_name = {planned.output.name: planned for planned in first.values()}
        rows: dict[str, Row] = {}
        self.progress.expect(len(by_name), rendering.steps(by_name))
        for rendered in rendering.outputs(by_name):
            planned, rendition_id = by_name[rendered.name], new_id()
            key = rendition_name(planned.key, rendition_id, rendered.extension)
            self.written.append(key)
            failpoint("output.made", self.job.id)
            self.check()
            self.store.put(key, rendered.data, rendered.media_type)
            failpoint("output.stored", self.job.id)
            rows[planned.key] = {
                "id": rendition_id,
                "storage_key": key,
                "replaces": held.gone.get(planned.key),
                "engine": self.engine.name,
                **described(planned, rendered),
            }
            for output in (other.output for other in missing if other.key == planned.key):
                self.copies.put(output, rows[planned.key], rendered.data)
            self.progress.output_made()
        return rows


def _finish(work: _Work, found: Row, rows: list[Row]) -> None:
    failpoint("finish.begun", work.job.id)
    linked = {row["id"] for row in rows if row["cached"]}
    kept: Iterable[str] | None = None
    # If this commit is cut off, nobody knows whether it took place: the objects stay, and a sweep of objects
    # without a row decides later.
    with work.database.session_scope() as session:
        still_there = renditions.lock(session, linked)
        if still_there:
            kept = jobs.complete(session, work.job, found=found, sha256=work.source_sha256, made=rows)
    failpoint("finish.committed", work.job.id)
    _remove(work.store, set(work.written) - set(kept or []))
    if not still_there:
        raise TransientError(
            ErrorCode.STORAGE_UNAVAILABLE, "An output that existed was removed meanwhile; pixmill tries again."
        )


def _remove(store: ObjectStore, keys: Iterable[str]) -> None:
    for key in keys:
        store.delete(key)


def described(planned: Planned, rendered: Rendered) -> Row:
    """What a rendition's row says of its picture."""
    return {
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


def found_in(rendering: Rendering) -> dict[str, Any]:
    """What the job shows of its source, beside where it came from."""
    source = rendering.source
    return {
        "width": source.width,
        "height": source.height,
        "format": source.format,
        "bytes": source.bytes,
        "sha256": source.sha256,
    }
