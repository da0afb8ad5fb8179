"""``POST /batches``: from a JSON document to checked items, those that are wrong put apart."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pixmill_api.batch_schemas import BatchItem, BatchOptions
from pixmill_api.errors import InvalidRequest
from pixmill_api.reading import read_body, read_recipe, wrong_items
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.domain.recipe import Limits, Recipe, RecipeError

_MOST_ERRORS: Final = 10
"""Of one item: they are kept with the batch."""


@dataclass(frozen=True)
class WantedItem:
    """``recipe`` None: of a preset, or the batch's."""

    index: int
    body: BatchItem
    recipe: Recipe | None


@dataclass
class WantedBatch:
    """``wrong``: by index, what is wrong with the items that are no part of it, with pointers into the whole body."""

    options: BatchOptions
    recipe: Recipe | None
    items: list[WantedItem] = field(default_factory=list)
    wrong: dict[int, list[JsonError]] = field(default_factory=dict)

    def reject(self, index: int, errors: Sequence[JsonError]) -> None:
        """``errors`` have pointers into the item."""
        found = [JsonError(f"/items/{index}{error.pointer}", error.detail) for error in errors]
        self.wrong[index] = found[:_MOST_ERRORS]

    def refuse_if_empty(self) -> None:
        """Raises InvalidRequest with the errors of all items."""
        if not self.items:
            raise InvalidRequest([error for index in sorted(self.wrong) for error in self.wrong[index]])


def read_batch(document: object, limits: Limits, most_items: int) -> WantedBatch:
    """``limits`` are those of each recipe. Raises InvalidRequest if the batch is wrong, or each of its items."""
    if not isinstance(document, dict):
        raise InvalidRequest([JsonError("", "must be an object")])
    wrong = list(wrong_items(document, most_items))
    try:
        options = read_body(BatchOptions, {key: value for key, value in document.items() if key != "items"})
        wanted = WantedBatch(options, _recipe_of(options, limits))
    except InvalidRequest as error:
        raise InvalidRequest([*error.errors, *wrong]) from None
    if wrong:
        raise InvalidRequest(wrong)
    for index, item in enumerate(document["items"]):
        _add(wanted, index, item, limits)
    wanted.refuse_if_empty()
    return wanted


def _add(wanted: WantedBatch, index: int, item: object, limits: Limits) -> None:
    try:
        body = read_body(BatchItem, item)
        wanted.items.append(WantedItem(index, body, _recipe_of(body, limits)))
    except InvalidRequest as error:
        wanted.reject(index, error.errors)


def _recipe_of(body: BatchItem | BatchOptions, limits: Limits) -> Recipe | None:
    """Raises InvalidRequest."""
    if body.recipe is None:
        return None
    if body.preset is not None:
        raise InvalidRequest([JsonError("/preset", "goes without a recipe: send one of the two")])
    try:
        return read_recipe(body.recipe, limits)
    except RecipeError as error:
        raise InvalidRequest(error.errors) from None
