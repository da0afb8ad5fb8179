"""From the bytes of one generated picture, or from its address alone, to the outputs of an item."""

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pixmill_imaging.service.assets import Assets, uploads_of
from pixmill_imaging.service.copies import Copies
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.finish import described, found_in
from pixmill_imaging.service.planning import Planned, plan_outputs
from pixmill_imaging.service.render import Rendered, render
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import probe_name, rendition_name
from pixmill_shared.domain.recipe import Recipe
from pixmill_shared.failpoints import failpoint
from pixmill_shared.repositories import renditions
from pixmill_shared.repositories.chunks import ClaimedChunk, Item, Result
from pixmill_shared.service.claims import Check
from pixmill_shared.storage import ObjectStore
from pixmill_shared.storage.places import Places

Row = dict[str, Any]

#: Decoding is the processors' and the memory's business: one at a time in a process whose threads wait for providers.
_ONE_AT_A_TIME: Final = threading.Lock()


def digest_of(provider: str, prompt: str) -> str:
    """The address of a picture by what it was asked for, in hex; ``provider`` is its identity."""
    return hashlib.sha256(f"{provider}\n{prompt}".encode("utf-8", "surrogatepass")).hexdigest()


@dataclass
class Outputs:
    """Of one item. ``written`` are the names of the objects that it stored, or was about to; ``of_prompt``: under the
    address of what was asked for, where another job may store another picture.
    """

    rows: list[Row]
    facts: Row | None
    sha256: str
    written: list[str] = field(default_factory=list)
    of_prompt: bool = False

    @property
    def linked(self) -> set[str]:
        """Ids of renditions that existed."""
        return {str(row["id"]) for row in self.rows if row["cached"]}

    def is_mixed(self, kept: Iterable[str]) -> bool:
        """``kept`` are the objects that its new renditions have: some are of a picture that another job made."""
        return self.of_prompt and 0 < len(set(self.written) & set(kept)) < len(self.written)

    def result(self, result: Result) -> Result:
        """With these outputs."""
        return replace(result, rows=self.rows, facts=self.facts, sha256=self.sha256)


class Workshop:
    """Makes outputs for the items of one chunk."""

    def __init__(
        self,
        chunk: ClaimedChunk,
        recipe: Recipe,
        database: Database,
        store: ObjectStore,
        engine: Engine,
        destinations: Places | None,
        check: Check,
    ) -> None:
        self._chunk = chunk
        self._recipe = recipe
        self._database = database
        self._store = store
        self._engine = engine
        self._copies = Copies(chunk.job_id, chunk.destination, store, destinations)
        self._check = check

    def try_storage(self) -> None:
        """Raises StorageUnavailable if nothing can be stored."""
        name = probe_name(new_id())
        self._store.put(name, b"", "application/octet-stream")
        self._store.delete(name)

    def known(self, item: Item, sha256: str) -> Outputs | None:
        """Those that exist at this address; None unless all do."""
        plan = plan_outputs(self._recipe, sha256, self._engine)
        found, _ = self._existing(plan)
        if len(found) < len({planned.key for planned in plan}):
            return None
        facts = next((row["source_facts"] for row in found.values() if row["source_facts"]), None)
        return Outputs(self._linked(item, plan, found, set(found)), facts, sha256)

    def make(self, item: Item, data: bytes, digest: str | None) -> Outputs:
        """Render and store what is not there; under the address of what was asked for (``digest``), or that of the
        bytes.

        Raises PermanentError for bytes that are no picture, or that the recipe cannot be applied to; then nothing stays
        in the storage.
        """
        sha256 = digest or hashlib.sha256(data).hexdigest()
        plan = plan_outputs(self._recipe, sha256, self._engine)
        found, gone = self._existing(plan)
        if digest is not None and (found or gone):
            # Of another picture. With some of its outputs they would be two pictures in one item, and rows whose
            # objects are gone tell of that one.
            return self.make(item, data, None)
        made = Outputs([], None, sha256, of_prompt=digest is not None)
        try:
            rows = self._rendered(plan, found, gone, data, made)
            made.rows = self._linked(item, plan, {**found, **rows}, set(found))
        except BaseException:
            self.remove(made.written)
            raise
        return made

    def remove(self, names: Iterable[str]) -> None:
        """Objects that no row came to name."""
        for name in names:
            self._store.delete(name)

    def _existing(self, plan: list[Planned]) -> tuple[dict[str, Row], dict[str, str]]:
        """By key: the rows, and the names of objects that are gone though a row names them."""
        with self._database.session_scope() as session:
            rows = renditions.find(session, list({planned.key for planned in plan}))
        gone = {key: row["storage_key"] for key, row in rows.items() if not self._store.exists(row["storage_key"])}
        return {key: row for key, row in rows.items() if key not in gone}, gone

    def _rendered(
        self, plan: list[Planned], found: dict[str, Row], gone: dict[str, str], data: bytes, made: Outputs
    ) -> dict[str, Row]:
        first = {planned.key: planned for planned in reversed(plan) if planned.key not in found}
        by_name = {planned.output.name: planned for planned in first.values()}
        rows: dict[str, Row] = {}
        # Also of what exists: whoever looks at the job is told what the picture was.
        with _ONE_AT_A_TIME:
            rendering = render(
                data, self._recipe, self._engine.loader, self._engine.limits, self._assets(), self._check
            )
            made.facts = found_in(rendering)
            results = list(rendering.outputs(by_name))
        for rendered in results:
            planned = by_name[rendered.name]
            rows[planned.key] = self._stored(planned, rendered, made) | {"replaces": gone.get(planned.key)}
        return rows

    def _assets(self) -> Assets:
        read = uploads_of(self._chunk.project, self._database, self._store)
        return Assets(read, self._engine.loader, self._engine.limits, self._engine.fonts)

    def _stored(self, planned: Planned, rendered: Rendered, made: Outputs) -> Row:
        rendition_id = new_id()
        name = rendition_name(planned.key, rendition_id, rendered.extension)
        made.written.append(name)
        self._check()
        self._store.put(name, rendered.data, rendered.media_type)
        failpoint("item.stored", self._chunk.id)
        return {
            "id": rendition_id,
            "storage_key": name,
            "engine": self._engine.name,
            **described(planned, rendered),
        }

    def _linked(self, item: Item, plan: list[Planned], rows: dict[str, Row], cached: set[str]) -> list[Row]:
        """A row for each output, under the name of the item's file."""
        found = []
        for planned in plan:
            row = rows[planned.key]
            stem = item.file_name if len(plan) == 1 else f"{item.file_name}-{planned.output.name}"
            extension = str(row["storage_key"]).rpartition(".")[2]
            found.append(
                {
                    **row,
                    "id": str(row["id"]),
                    "name": f"{stem}.{extension}",
                    "position": item.position * len(plan) + planned.position,
                    "cached": planned.key in cached,
                    "copied_to": self._copies.address(replace(planned.output, name=stem), row),
                }
            )
        return found
