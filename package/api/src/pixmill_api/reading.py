"""From a JSON document to a checked request, with everything that is wrong at once."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pixmill_api.domain.documents import unstorable
from pixmill_api.errors import InvalidRequest
from pixmill_api.schemas import JobRequest, ShortOptions
from pixmill_shared.domain.json_reader import JsonError, join_pointer
from pixmill_shared.domain.recipe import Limits, Recipe, RecipeError, parse_recipe, process_recipe

Body = TypeVar("Body", bound=BaseModel)
Short = TypeVar("Short", bound=ShortOptions)

_NOT_OFFERED: Final = {
    "/preset": "is not offered by this version; send what is to be done itself",
}


def read_job(document: object, limits: Limits) -> tuple[JobRequest, Recipe]:
    """``POST /jobs``; ``limits`` are those of the recipe. Raises InvalidRequest."""

    def recipe_of(found: dict[str, Any]) -> Recipe:
        try:
            return parse_recipe(found["recipe"], limits)
        except RecipeError as error:
            raise RecipeError([JsonError("/recipe" + e.pointer, e.detail) for e in error.errors]) from None

    return _read(JobRequest, document, recipe_of)


def read_short(model: type[Short], document: object) -> tuple[Short, Recipe]:
    """``POST /process``, as JSON or as a form. Raises InvalidRequest."""

    def recipe_of(found: dict[str, Any]) -> Recipe:
        given = {"filter_name" if name == "filter" else name: found[name] for name in _SHORT_KEYS if name in found}
        return process_recipe(**given)

    return _read(model, document, recipe_of)


_SHORT_KEYS: Final = ("width", "height", "filter")


def read_body(model: type[Body], document: object) -> Body:
    """Any body that has no recipe in it. Raises InvalidRequest."""
    body, wrong = _checked(model, _object(document))
    if body is None:
        raise InvalidRequest(wrong)
    return body


def _object(document: object) -> dict[str, Any]:
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


def _read(model: type[Body], given: object, recipe_of: Callable[[dict[str, Any]], Recipe]) -> tuple[Body, Recipe]:
    document = _object(given)
    body, wrong = _checked(model, document)
    try:
        recipe = recipe_of(document)
    except RecipeError as error:
        wrong += error.errors
    except KeyError:  # no recipe in it, which the model has noted
        raise InvalidRequest(wrong) from None
    if body is None or wrong:
        raise InvalidRequest(wrong)
    return body, recipe


def _json_error(found: ErrorDetails) -> JsonError:
    pointer = ""
    for part in found["loc"]:
        pointer = join_pointer(pointer, part)
    if found["type"] == "extra_forbidden":
        return JsonError(pointer, _NOT_OFFERED.get(pointer, "is not a known key"))
    if found["type"] == "missing":
        return JsonError(pointer, "is missing")
    if found["type"] in ("model_type", "dict_type"):
        return JsonError(pointer, "must be an object")
    return JsonError(pointer, found["msg"].replace("Input should", "should", 1))
