"""Rules between the fields of bodies, in JSON Schema: what the OpenAPI document says besides pydantic."""

from typing import Any, Final

GIVEN: Final = {"not": {"type": "null"}}
WITH_DESTINATION: Final[dict[str, Any]] = {"required": ["destination"], "properties": {"destination": GIVEN}}
NO_KEYS: Final[dict[str, Any]] = {"properties": {"outputs": {"items": {"properties": {"key": False}}}}}
"""Of a recipe: keys of outputs go with a destination."""


def one_of(*names: str) -> dict[str, Any]:
    """JSON Schema: exactly one of the keys is there, and not null."""
    null = {"type": "null"}
    return {
        "oneOf": [
            {"required": [name], "properties": {key: {"not": null} if key == name else null for key in names}}
            for name in names
        ]
    }


def as_form(schema: dict[str, Any]) -> None:
    """A form has the field `file` besides, and no way to write null; a field without a text is as good as absent."""
    fields = schema.setdefault("properties", {})
    for field in fields.values():
        if {"type": "null"} in field.get("anyOf", ()):
            field.update(field.pop("anyOf")[0])
            del field["default"]
        # What a browser sends of a field that was left blank.
        if "enum" in field:
            field["enum"] = [*field["enum"], ""]
        else:
            written = {key: field.pop(key) for key in list(field) if key not in ("description", "default", "title")}
            field["anyOf"] = [written, {"const": ""}]
    fields["file"] = {"type": "string", "format": "binary", "minLength": 1, "description": "The bytes of a picture"}
    schema["required"] = ["file"]
