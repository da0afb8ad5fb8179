"""What the OpenAPI document says besides what FastAPI finds out: bodies that are streams, and problem documents."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pixmill_api import dead_letter_schemas, schemas, webhook_schemas
from pixmill_api.domain.media_types import FORM, JSON, UNKNOWN
from pixmill_shared.contract.queues import Priority
from pixmill_shared.domain.recipe import FILTERS

_REF: Final = "#/components/schemas/{model}"
_MODELS: Final = (
    *(schemas.JobRequest, schemas.ProcessRequest, schemas.ProcessForm, schemas.JobList),
    *(webhook_schemas.EndpointRequest, webhook_schemas.EndpointChange, webhook_schemas.RotateRequest),
)
_ANSWERS: Final = (
    *(schemas.UploadDocument, schemas.JobDocument, schemas.Problem),
    *(dead_letter_schemas.DeadLetterList, dead_letter_schemas.Replays),
    *(webhook_schemas.CreatedEndpoint, webhook_schemas.EndpointList, webhook_schemas.RotatedSecret),
    *(webhook_schemas.DeliveryList, webhook_schemas.Recovered),
)
_BINARY: Final = {"type": "string", "format": "binary"}
_MEANINGS: Final = {
    400: "The body cannot be read",
    401: "An API key is needed",
    403: "The link is not valid, or no longer",
    404: "There is no such thing, or it is another project's",
    409: "Not in this state; or the first request under the `Idempotency-Key` is still running, see `Retry-After`",
    413: "Too many bytes",
    415: "A content type that is not taken here",
    416: "The range begins after the end",
    422: "Well-formed, but wrong: see `errors`; or another request under the same `Idempotency-Key`",
    429: "Too many jobs wait: see `Retry-After`",
    503: "A dependency is down; see `Retry-After`",
}

Responses = dict[int | str, dict[str, Any]]


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _form(fields: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY, **fields}}}


def success(status: int, *models: type[BaseModel]) -> Responses:
    """The answer that a client hopes for, which is one of ``models``."""
    schemas_of_it = [_ref(model) for model in models]
    schema = schemas_of_it[0] if len(models) == 1 else {"oneOf": schemas_of_it}
    return {status: {"description": "Done", "content": {JSON: {"schema": schema}}}}


def problems_of(*statuses: int) -> Responses:
    """The problem documents that a call may answer with."""
    content = {"application/problem+json": {"schema": _ref(schemas.Problem)}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


_FORM_FIELDS: Final = {
    "width": schemas.DIMENSION_SCHEMA | {"default": 800},
    "height": schemas.DIMENSION_SCHEMA | {"default": 600},
    "filter": {"enum": ["none", *FILTERS], "default": "none"},
    "priority": {"enum": list(Priority), "default": "normal"},
    "run_at": {"type": "string", "format": "date-time"},
    "webhook_url": {"type": "string"},
    "metadata": {"type": "string", "description": "a JSON object"},
}
UPLOAD_BODY: Final = {
    "required": True,
    "content": {"image/*": {"schema": _BINARY}, UNKNOWN: {"schema": _BINARY}, FORM: _form({})},
}
PROCESS_BODY: Final = {
    "required": True,
    "content": {JSON: {"schema": _ref(schemas.ProcessRequest)}, FORM: _form(_FORM_FIELDS)},
}
JOB_BODY: Final = {"required": True, "content": {JSON: {"schema": _ref(schemas.JobRequest)}}}
ENDPOINT_BODY: Final = {"required": True, "content": {JSON: {"schema": _ref(webhook_schemas.EndpointRequest)}}}
CHANGE_BODY: Final = {"required": True, "content": {JSON: {"schema": _ref(webhook_schemas.EndpointChange)}}}
ROTATE_BODY: Final = {"required": False, "content": {JSON: {"schema": _ref(webhook_schemas.RotateRequest)}}}
KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
KEYED: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": KEY_HEADER,
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x20-\x7e]+$"},
            "description": "A text of yours, unique to what you want made: the same request under the same key is made "
            f"once, and gets the first answer again, with `{REPLAYED_HEADER}: true`",
        }
    ]
}
FILE_ANSWERS: Final[Responses] = {
    200: {"description": "The bytes", "content": {"image/*": {"schema": _BINARY}}},
    206: {"description": "The range of bytes", "content": {"image/*": {"schema": _BINARY}}},
    302: {"description": "The bytes are there"},
    304: {"description": "The client has them"},
}


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` answer with the whole document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, models = models_json_schema(
                [*((model, "validation") for model in _MODELS), *((model, "serialization") for model in _ANSWERS)],
                ref_template=_REF,
            )
            _drop_defaults(found)
            known = found.setdefault("components", {}).setdefault("schemas", {})
            known.update(models["$defs"])
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _drop_defaults(found: dict[str, Any]) -> None:
    """FastAPI's own shape of a 422, which no answer of ours has. Paths hold text, so nothing in them is invalid."""
    for operations in found["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if JSON in content:
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        found.get("components", {}).get("schemas", {}).pop(name, None)
