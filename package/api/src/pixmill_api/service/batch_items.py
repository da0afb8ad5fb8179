"""From the items of a batch to its jobs. An item that cannot be one is rejected, and the others go on.

What many items share, a recipe, a preset, a destination, is looked up once.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.batch_reading import WantedBatch, WantedItem
from pixmill_api.errors import InvalidRequest
from pixmill_api.schemas import Source
from pixmill_api.service.places import destination_address, source_address
from pixmill_api.service.presets import ResolvedRecipe, resolve_recipe
from pixmill_api.service.submission import check_receiver
from pixmill_api.service.watermarks import uploads_named_by
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import Recipe
from pixmill_shared.repositories import batches
from pixmill_shared.repositories.batches import NewItem


@dataclass
class Items:
    """Those of one batch; ``recipes`` are the different ones among them, in their canonical form."""

    context: Context
    session: Session
    caller: Caller
    wanted: WantedBatch
    made: list[NewItem] = field(default_factory=list)
    recipes: list[dict[str, Any]] = field(default_factory=list)
    _places: dict[Recipe, int] = field(default_factory=dict)
    _resolved: dict[str, ResolvedRecipe | InvalidRequest] = field(default_factory=dict)
    _default: ResolvedRecipe | None = None

    def make(self) -> None:
        """Raises InvalidRequest if what the batch says for all its items is wrong, or each of them; PresetRequired."""
        options = self.wanted.options
        if self.wanted.recipe is not None or options.preset is not None:
            self._default = resolve_recipe(self.session, self.caller, self.wanted.recipe, options.preset)
        if options.destination is not None:
            destination_address(self.context, options.destination, self._default or ResolvedRecipe(Recipe(())))
        named = {item.body.source.upload_id for item in self.wanted.items}
        uploads = batches.uploads_of(self.session, self.caller.project, {each for each in named if each is not None})
        kept = []
        # Ids sort by time: those of a batch in the order of its items.
        for item, job_id in zip(self.wanted.items, sorted(new_id() for _ in self.wanted.items), strict=True):
            try:
                self.made.append(self._made(item, job_id, uploads))
                kept.append(item)
            except InvalidRequest as error:
                self.wanted.reject(item.index, error.errors)
        self.wanted.items = kept
        self.wanted.refuse_if_empty()

    def rejected(self) -> list[dict[str, Any]]:
        """As it is kept with the batch."""
        return [
            {"index": index, "errors": [error._asdict() for error in errors]}
            for index, errors in sorted(self.wanted.wrong.items())
        ]

    def _made(self, item: WantedItem, job_id: uuid.UUID, uploads: dict[uuid.UUID, dict[str, Any]]) -> NewItem:
        body, chosen = item.body, self._chosen(item)
        check_receiver(self.context, body.webhook_url)
        destination = body.destination or self.wanted.options.destination
        upload = _upload(body.source, uploads)
        key = source_address(self.context, body.source.key)
        return NewItem(
            *(job_id, item.index, self._place(chosen.recipe), _shown(body.source, key, upload)),
            source_key=upload["key"] if upload else None,
            source_sha256=upload["sha256"] if upload else None,
            metadata=body.metadata,
            webhook_url=body.webhook_url,
            destination=destination_address(self.context, destination, chosen),
            preset=chosen.preset,
            preset_version=chosen.version,
            uploads=uploads_named_by(chosen.recipe),
        )

    def _chosen(self, item: WantedItem) -> ResolvedRecipe:
        """Raises InvalidRequest."""
        if item.recipe is not None:
            return resolve_recipe(self.session, self.caller, item.recipe, None)
        if item.body.preset is not None:
            return self._named(item.body.preset)
        if self._default is None:
            raise InvalidRequest([JsonError("/recipe", "is missing, and the batch has none for all its items")])
        return self._default

    def _named(self, preset: str) -> ResolvedRecipe:
        if preset not in self._resolved:
            try:
                self._resolved[preset] = resolve_recipe(self.session, self.caller, None, preset)
            except InvalidRequest as error:
                self._resolved[preset] = error
        found = self._resolved[preset]
        if isinstance(found, InvalidRequest):
            raise found
        return found

    def _place(self, recipe: Recipe) -> int:
        if recipe not in self._places:
            self._places[recipe] = len(self.recipes)
            self.recipes.append(recipe.canonical())
        return self._places[recipe]


def _upload(source: Source, uploads: dict[uuid.UUID, dict[str, Any]]) -> dict[str, Any] | None:
    if source.upload_id is not None and source.upload_id not in uploads:
        raise InvalidRequest([JsonError("/source/upload_id", "there is no such upload")])
    return uploads[source.upload_id] if source.upload_id is not None else None


def _shown(source: Source, key: str | None, upload: dict[str, Any] | None) -> dict[str, Any]:
    """What the job's row says of it."""
    if upload is not None:
        return {"upload_id": str(upload["id"]), "bytes": upload["bytes"], "sha256": upload["sha256"]}
    return {"key": key} if key else {"url": source.url}
