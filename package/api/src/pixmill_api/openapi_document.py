"""The OpenAPI document: FastAPI's, with the models that routes name, and problems that follow from what calls take."""

import inspect
from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.json_schema import models_json_schema

from pixmill_api.domain.media_types import JSON
from pixmill_api.openapi import REF, Reference, Used, problems_of
from pixmill_api.openapi_examples import add_examples
from pixmill_api.openapi_headers import add_headers
from pixmill_api.openapi_links import add_links
from pixmill_api.schemas import Problem

_DEFAULTS: Final = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` answer with the whole document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _built(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _built(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=app.servers,
        tags=list(_tags(app)),
    )
    _drop_defaults(found)
    _drop_guesses(found)
    for operation in _operations(found):
        for scope in (scope for needed in operation.get("security", ()) for scope in next(iter(needed.values()))):
            operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".lstrip()
        for status, problem in problems_of(*_following(operation)).items():
            operation["responses"].setdefault(str(status), problem)
        operation["responses"] = dict(sorted(operation["responses"].items()))
    _, models = models_json_schema(sorted(_used(app), key=str), ref_template=REF)
    found["components"].setdefault("schemas", {}).update(models["$defs"])
    add_examples(found)
    add_links(found)
    add_headers(found)
    return found


def _drop_guesses(document: dict[str, Any]) -> None:
    """FastAPI takes an answer that no route describes for JSON of any kind, also one without a body."""
    for operation in _operations(document):
        for status, answer in operation["responses"].items():
            if status.startswith("2") and answer.get("content", {}).get(JSON) == {"schema": {}}:
                del answer["content"][JSON]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        yield from operations.values()


def _following(operation: dict[str, Any]) -> set[int]:
    """Statuses that follow from what the operation takes."""
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    statuses: set[int] = set()
    if "security" in operation:
        statuses |= {401, 403, 429, 503}
    if "path" in places:
        statuses |= {404}
    # A link whose query is wrong is none of ours: 403.
    if "query" in places and ("security" in operation or "requestBody" in operation):
        statuses |= {422}
    if "requestBody" in operation:
        statuses |= {400, 408, 413, 415, 422}
    return statuses


def _used(app: FastAPI) -> set[Used]:
    """The models that routes refer to."""
    found = {Used(Problem, "serialization")}
    stack: list[Any] = [
        part for route in _routes(app) if route.include_in_schema for part in (route.responses, route.openapi_extra)
    ]
    while stack:
        part = stack.pop()
        if isinstance(part, Reference):
            found.add(part.used)
        elif isinstance(part, dict):
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return found


def _routes(app: FastAPI) -> Iterator[Any]:
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            yield context


def _tags(app: FastAPI) -> Iterator[dict[str, str]]:
    """Each resource, by what its module says of itself first."""
    seen: set[str] = set()
    for route in _routes(app):
        for tag in route.tags if route.include_in_schema else ():
            if tag not in seen:
                seen.add(tag)
                lines = (inspect.getmodule(route.endpoint).__doc__ or "").strip().splitlines()
                yield {"name": tag, "description": lines[0].replace("``", "`")}


def _drop_defaults(found: dict[str, Any]) -> None:
    """FastAPI's own shape of a 422, which no answer of ours has. Paths hold text, so nothing in them is invalid."""
    for operation in _operations(found):
        if JSON in operation["responses"].get("422", {}).get("content", {}):
            del operation["responses"]["422"]
    for name in _DEFAULTS:
        found.get("components", {}).get("schemas", {}).pop(name, None)
