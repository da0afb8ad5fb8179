"""Requests for pictures: from a JSON document to checked things, with everything that is wrong at once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pixmill_api.domain.prompts import dish_prompt, thing_prompt
from pixmill_api.errors import InvalidRequest
from pixmill_api.menu_schemas import MOST_CATEGORIES, MOST_FIELDS, MOST_ITEM_BYTES, MenuRequest
from pixmill_api.reading import checked_object, read_document_of, read_recipe, wrong_items
from pixmill_api.text_schemas import wrong_line
from pixmill_api.thing_schemas import MOST_CATEGORY, GenerateRequest, GenerationOptions
from pixmill_shared.domain.json_reader import JsonError, join_pointer
from pixmill_shared.domain.recipe import Limits, Output, OutputFormat, Recipe, RecipeError

AS_IT_IS: Final = Recipe((Output("image", format=OutputFormat.PNG),))
"""Of a request that says nothing of what is to be made of its pictures."""

Asked = TypeVar("Asked", bound=GenerationOptions)


@dataclass(frozen=True)
class WantedThing:
    """``details``: as it was given."""

    category: str
    name: str
    prompt: str
    details: dict[str, Any]


def read_generation(document: object, limits: Limits, most: int) -> tuple[GenerateRequest, Recipe | None]:
    """``POST /jobs`` of the kind ``generate``; the recipe is None if a preset is named. Raises InvalidRequest."""
    found = checked_object(document)
    _refuse(wrong_items(found, most))
    return _read(GenerateRequest, found, limits)


def read_menu(document: object, limits: Limits, most: int) -> tuple[MenuRequest, Recipe | None]:
    """``POST /image/generate-async``, as ``read_generation``."""
    found = checked_object(document)
    _refuse(_wrong_menu(found, most))
    return _read(MenuRequest, found, limits)


def things_of(wanted: GenerateRequest) -> list[WantedThing]:
    """In their order."""
    return [
        WantedThing(
            thing.category,
            thing.name,
            thing.prompt or thing_prompt(thing.name, description=thing.description or "", category=thing.category),
            thing.model_dump(exclude_unset=True),
        )
        for thing in wanted.items
    ]


def dishes_of(wanted: MenuRequest, document: dict[str, Any]) -> list[WantedThing]:
    """In the order of the menu, with their details as they stand in the ``document``."""
    return [
        WantedThing(
            category,
            dish.name,
            dish_prompt(
                english=dish.english_name or "",
                japanese=dish.japanese_name or "",
                description=dish.description or "",
                category=category,
            ),
            given,
        )
        for category, dishes in wanted.final_menu.items()
        for dish, given in zip(dishes, document["final_menu"][category], strict=True)
    ]


def _read(model: type[Asked], document: dict[str, Any], limits: Limits) -> tuple[Asked, Recipe | None]:
    def recipe_of(found: dict[str, Any]) -> Recipe | None:
        recipe, preset = found.get("recipe"), found.get("preset")
        if recipe is None:
            return AS_IT_IS if preset is None else None
        if preset is not None:
            raise RecipeError([JsonError("/preset", "goes without a recipe: send one of the two, or neither")])
        return read_recipe(recipe, limits)

    return read_document_of(model, document, recipe_of)


def _refuse(wrong: Iterator[JsonError]) -> None:
    errors = list(wrong)
    if errors:
        raise InvalidRequest(errors)


def _wrong_menu(document: dict[str, Any], most: int) -> Iterator[JsonError]:
    """Its categories, how many dishes it has, and how large they are."""
    menu, at = document.get("final_menu"), "/final_menu"
    if "final_menu" not in document:
        yield JsonError(at, "is missing")
        return
    if not isinstance(menu, dict):
        yield JsonError(at, "must be an object: categories, with an array of dishes each")
        return
    dishes = [dish for found in menu.values() if isinstance(found, list) for dish in found]
    if len(menu) > MOST_CATEGORIES:
        yield JsonError(at, f"may have {MOST_CATEGORIES} categories, and has {len(menu)}")
    elif len(dishes) > most:
        yield JsonError(at, f"may have {most} dishes in all, and has {len(dishes)}")
    elif not dishes and all(isinstance(found, list) for found in menu.values()):
        yield JsonError(at, "has no dish in it")
    else:
        for category, found in menu.items():
            yield from _wrong_category(join_pointer(at, category), category, found)


def _wrong_category(at: str, name: str, dishes: object) -> Iterator[JsonError]:
    if wrong := wrong_line(name, MOST_CATEGORY):
        yield JsonError(at, f"is the name of a category, which {wrong}")
    if not isinstance(dishes, list):
        yield JsonError(at, "must be an array of dishes")
        return
    for position, dish in enumerate(dishes):
        if isinstance(dish, dict) and len(dish) > MOST_FIELDS:
            yield JsonError(join_pointer(at, position), f"may have {MOST_FIELDS} keys, and has {len(dish)}")
        elif isinstance(dish, dict) and (size := _others(dish)) > MOST_ITEM_BYTES:
            yield JsonError(
                join_pointer(at, position),
                f"may have {MOST_ITEM_BYTES} bytes beside its names and description, and has {size}",
            )


def _others(dish: dict[str, Any]) -> int:
    """Bytes of what is kept and not looked at; what is looked at has limits of its own."""
    named = ("english_name", "japanese_name", "description")
    return len(json.dumps({key: value for key, value in dish.items() if key not in named}, ensure_ascii=False).encode())
