"""Links of the OpenAPI document: from an answer that names a thing to the calls that take its name."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pixmill_api.domain.media_types import JSON

_REF: Final = "#/components/schemas/"


class _Call(NamedTuple):
    """An operation that needs nothing but names in its path."""

    operation_id: str
    tags: frozenset[str]
    names: tuple[str, ...]


def add_links(document: dict[str, Any]) -> None:
    """From each answer with the names that a call of the same resource has in its path, and from the first of a list.
    A name that belongs to several resources, like ``name``, leads to those of its own only.
    """
    calls = list(_calls(document))
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for method, operation in operations.items():
            for answer in (
                answer for status, answer in operation["responses"].items() if status in ("200", "201", "202")
            ):
                schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
                if links := dict(_links(operation, calls, *_named(schema, schemas))) if method != "delete" else {}:
                    answer["links"] = links


def _calls(document: dict[str, Any]) -> Iterator[_Call]:
    for operations in document["paths"].values():
        for operation in operations.values():
            names = tuple(p["name"] for p in operation.get("parameters", ()) if p["in"] == "path")
            if names:
                yield _Call(operation["operationId"], frozenset(operation["tags"]), names)


def _links(
    operation: dict[str, Any], calls: list[_Call], at: str, names: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for call in calls:
        own = call.tags & set(operation["tags"])
        if (
            call.operation_id != operation["operationId"]
            and set(call.names) <= names
            and (own or all(name.endswith("_id") for name in call.names))
        ):
            parameters = {name: f"$response.body#{at}/{name}" for name in call.names}
            yield call.operation_id, {"operationId": call.operation_id, "parameters": parameters}


def _named(schema: dict[str, Any], schemas: dict[str, Any]) -> tuple[str, set[str]]:
    """Where the thing is that the answer shows, and its properties that are always there and no null."""
    properties = _resolved(schema, schemas).get("properties", {})
    if "data" in properties:
        items = properties["data"].get("items", {})
        return "/data/0", _always(_resolved(items, schemas))
    return "", _always(_resolved(schema, schemas))


def _always(schema: dict[str, Any]) -> set[str]:
    required = schema.get("required", ())
    return {name for name in required if schema["properties"][name].get("type") == "string"}


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schemas[schema["$ref"].removeprefix(_REF)] if "$ref" in schema else schema
    return found
