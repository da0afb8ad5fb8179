"""``metadata.<key>=<value>`` in the query of a list: a parameter of OpenAPI that is spread over many."""

from typing import Any, Final

from fastapi import Request

from pixmill_api.domain.metadata_filters import MOST, NAME_PATTERN, Filter, read_filters
from pixmill_api.errors import InvalidRequest
from pixmill_shared.domain.json_reader import JsonError

METADATA: Final[dict[str, Any]] = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": {"type": "string"},
        "maxProperties": MOST,
    },
    "description": "`metadata.order=A-17`: those whose metadata have this key with this text, or the number, true or "
    "false that is written like it",
    "example": {"metadata.order": "A-17"},
}


def metadata_of(request: Request) -> tuple[Filter, ...]:
    """Raises InvalidRequest if there are too many."""
    filters = read_filters(request.query_params.multi_items())
    if len(filters) > MOST:
        raise InvalidRequest([JsonError("/query/metadata", f"may be there {MOST} times at most")])
    return filters
