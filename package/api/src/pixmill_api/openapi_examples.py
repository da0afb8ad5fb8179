"""Examples of the OpenAPI document: those that models give, and for what they leave out one made from the schema."""

from typing import Any, Final

from pixmill_api.domain.media_types import FORM, JSON
from pixmill_api.openapi import KEY_HEADER, PROBLEM
from pixmill_api.problems import Kind, all_kinds, type_of

_REF: Final = "#/components/schemas/"
_TEXTS: Final = {
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "date-time": "2030-01-31T08:00:00Z",
    "uri": "https://example.com/",
}
_PLAIN: Final[dict[str, Any]] = {"string": "text", "integer": 1, "number": 1.5, "boolean": False, "null": None}
_KEYED: Final = ("idempotency_key_in_flight", "idempotency_key_reused")
_RESUMABLE: Final = ("tus_version", "offset_conflict", "checksum_mismatch", "upload_locked", "gone")
REQUEST_ID: Final = "01890a5d-ac96-774b-bcce-b302099a8058"


def add_examples(document: dict[str, Any]) -> None:
    """To each body of a request that is no raw bytes, each answer of JSON, and each problem."""
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            bodies = {"": operation.get("requestBody", {}), **operation["responses"]}
            for status, content in ((status, body["content"]) for status, body in bodies.items() if "content" in body):
                for media_type in (JSON, FORM):
                    if media_type in content:
                        example = example_of(content[media_type]["schema"], schemas, begun=status == "202")
                        content[media_type].setdefault("example", example)
            for status, answer in operation["responses"].items():
                if PROBLEM in answer.get("content", {}):
                    answer["content"] = {PROBLEM: {**answer["content"][PROBLEM], **_problems(path, status, operation)}}


def example_of(schema: dict[str, Any], schemas: dict[str, Any], *, begun: bool = False) -> Any:
    """The first one that is given, or the last, for what has only ``begun``; else all properties that are required, and
    null for what may be.
    """
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].removeprefix(_REF)], schemas, begun=begun)
    if "examples" in schema:
        return schema["examples"][-1 if begun else 0]
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    found = schema.get("anyOf") or schema.get("oneOf")
    if found and "properties" not in schema:
        return None if {"type": "null"} in found else example_of(found[0], schemas, begun=begun)
    return _of_type(schema, schemas)


def _of_type(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    kind = schema.get("type", "object")
    if kind == "object":
        required = schema.get("required", ())
        return {name: example_of(schema["properties"][name], schemas) for name in required}
    if kind == "array":
        return [example_of(schema["items"], schemas)]
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), _PLAIN["string"])
    return schema.get("minimum", _PLAIN[kind if isinstance(kind, str) else kind[0]])


def _problems(path: str, status: str, operation: dict[str, Any]) -> dict[str, Any]:
    """One for each kind of problem that the status stands for here."""
    left_out: set[str] = set() if "/tus" in path else set(_RESUMABLE)
    if not any(parameter["name"] == KEY_HEADER for parameter in operation.get("parameters", ())):
        left_out |= set(_KEYED)
    kinds = {kind.code: kind for kind in reversed(all_kinds()) if str(kind.status) == status}
    usual = {code: kind for code, kind in sorted(kinds.items()) if code not in left_out} or kinds
    return {"examples": {code: {"summary": kind.title, "value": _problem(path, kind)} for code, kind in usual.items()}}


def _problem(path: str, kind: Kind) -> dict[str, Any]:
    document = {
        "type": type_of(kind),
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}.",
        "instance": path,
        "code": kind.code,
        "request_id": REQUEST_ID,
    }
    if kind.code == "invalid":
        document["errors"] = [{"pointer": "/priority", "detail": "should be 'high', 'normal' or 'low'"}]
    return document
