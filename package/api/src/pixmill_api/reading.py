"""From a JSON document to a checked request, with everything that is wrong at once."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pixmill_api.domain.documents import unstorable
from pixmill_api.errors import InvalidRequest
from pixmill_api.preset_schemas import PresetRequest
from pixmill_api.process_schemas import BOX, ShortOptions
from pixmill_api.schemas import JobRequest
from pixmill_shared.domain.jobs import JobKind
from pixmill_shared.domain.json_reader import JsonError, join_pointer
from pixmill_shared.domain.recipe import Limits, Recipe, RecipeError, parse_recipe, process_recipe

Body = TypeVar("Body", bound=BaseModel)
Found = TypeVar("Found")
Short = TypeVar("Short", bound=ShortOptions)


def read_job(document: object, limits: Limits) -> tuple[JobRequest, Recipe | None]:
    """``POST /jobs``; ``limits`` are those of the recipe, which is None if a preset is named. Raises InvalidRequest."""
    return _read(JobRequest, document, lambda found: own_recipe(found, limits))


def read_short(model: type[Short], document: object) -> tuple[Short, Recipe | None]:
    """``POST /process``, as JSON or as a form; no recipe if a preset is named. Raises InvalidRequest."""

    def recipe_of(found: dict[str, Any]) -> Recipe | None:
        given = {"filter_name" if name == "filter" else name: found[name] for name in BOX if name in found}
        if found.get("preset") is None:
            return process_recipe(**given)
        if given:
            raise RecipeError([JsonError("/preset", f"goes without {', '.join(BOX)}")])
        return None

    return _read(model, document, recipe_of)


def own_recipe(document: dict[str, Any], limits: Limits) -> Recipe | None:
    """Of an object with either ``recipe`` or ``preset``; None: a preset. Raises RecipeError."""
    recipe, preset = document.get("recipe"), document.get("preset")
    if recipe is None and preset is None:
        raise RecipeError([JsonError("/recipe", "is missing, and so is preset: one of the two is needed")])
    if recipe is None:
        return None
    if preset is not None:
        raise RecipeError([JsonError("/preset", "goes without a recipe: send one of the two")])
    return read_recipe(recipe, limits)


def read_recipe(value: object, limits: Limits) -> Recipe:
    """What stands under the key ``recipe``. Raises RecipeError."""
    try:
        return parse_recipe(value, limits)
    except RecipeError as error:
        raise RecipeError([JsonError("/recipe" + e.pointer, e.detail) for e in error.errors]) from None


def read_preset(document: object, limits: Limits) -> tuple[PresetRequest, Recipe]:
    """``PUT /presets/{name}``. Raises InvalidRequest."""

    def recipe_of(found: dict[str, Any]) -> Recipe:
        if "recipe" not in found:
            raise RecipeError([])  # the model has noted it
        return read_recipe(found["recipe"], limits)

    return _read(PresetRequest, document, recipe_of)


def read_body(model: type[Body], document: object) -> Body:
    """Any body that has no recipe in it. Raises InvalidRequest."""
    body, wrong = _checked(model, checked_object(document))
    if body is None:
        raise InvalidRequest(wrong)
    return body


def checked_object(document: object) -> dict[str, Any]:
    """Raises InvalidRequest for what is none, or cannot be kept."""
    wrong = unstorable(document)
    if wrong:
        raise InvalidRequest(wrong)
    if not isinstance(document, dict):
        raise InvalidRequest([JsonError("", "must be an object")])
    return document


def _checked(model: type[Body], document: dict[str, Any]) -> tuple[Body | None, list[JsonError]]:
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        return None, [_json_error(found) for found in error.errors(include_url=False, include_context=False)]


def _read(model: type[Body], given: object, recipe_of: Callable[[dict[str, Any]], Found]) -> tuple[Body, Found]:
    return read_document_of(model, checked_object(given), recipe_of)


def read_document_of(
    model: type[Body], document: dict[str, Any], recipe_of: Callable[[dict[str, Any]], Found]
) -> tuple[Body, Found]:
    """What ``checked_object`` gave, and the recipe in it. Raises InvalidRequest with the errors of both."""
    body, wrong = _checked(model, document)
    try:
        recipe = recipe_of(document)
    except RecipeError as error:
        raise InvalidRequest([*wrong, *error.errors]) from None
    if body is None or wrong:
        raise InvalidRequest(wrong)
    return body, recipe


def kind_of(document: object) -> JobKind:
    """Of a body for ``POST /jobs``. Raises InvalidRequest."""
    kind = document.get("kind", JobKind.PROCESS) if isinstance(document, dict) else JobKind.PROCESS
    if kind not in list(JobKind):
        raise InvalidRequest([JsonError("/kind", "should be 'process' or 'generate'")])
    return JobKind(kind)


def _json_error(found: ErrorDetails) -> JsonError:
    pointer = ""
    for part in found["loc"]:
        pointer = join_pointer(pointer, part)
    if found["type"] == "extra_forbidden":
        return JsonError(pointer, "is not a known key")
    if found["type"] == "missing":
        return JsonError(pointer, "is missing")
    if found["type"] in ("model_type", "dict_type"):
        return JsonError(pointer, "must be an object")
    return JsonError(pointer, found["msg"].replace("Input should", "should", 1))


def wrong_items(document: dict[str, Any], most: int) -> Iterator[JsonError]:
    """Of a request that is a list: how many there are, and not what each of them says."""
    items = document.get("items")
    if "items" not in document:
        yield JsonError("/items", "is missing")
    elif not isinstance(items, list):
        yield JsonError("/items", "must be an array")
    elif not 1 <= len(items) <= most:
        yield JsonError("/items", f"must have 1 to {most} items, and has {len(items)}")
