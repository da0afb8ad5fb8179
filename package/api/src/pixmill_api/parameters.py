"""Parameters of queries: read to the letter, so that what the OpenAPI document calls wrong is refused.

Pydantic takes ``1.0`` and `` 5`` for integers, ``on`` for true, numbers for times, and ids in braces; FastAPI ignores
parameters that it does not know, and a filter with a typing error in its name is no filter.
"""

import datetime
import re
import uuid
from typing import Annotated, Any, Final

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from pixmill_api.domain.ids import parse_id
from pixmill_api.domain.moments import MEANT, parse_moment
from pixmill_api.errors import InvalidRequest
from pixmill_shared.domain.json_reader import JsonError, join_pointer

_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_CHECKED: Final = "/api/"
"""Probes and signed links may have in their queries what they like."""


def _integer(given: object) -> object:
    if isinstance(given, str) and not _INTEGER.fullmatch(given):
        raise PydanticCustomError("integer", "must be an integer")
    return given


def _flag(given: object) -> bool:
    if given not in ("true", "false"):
        raise PydanticCustomError("flag", "must be true or false")
    return given == "true"


def _id(given: object) -> uuid.UUID:
    found = parse_id(given) if isinstance(given, str) else None
    if found is None:
        raise PydanticCustomError("id", "must be an id, like 01890a5d-ac96-774b-bcce-b302099a8057")
    return found


def _moment(given: object) -> datetime.datetime:
    found = parse_moment(given) if isinstance(given, str) else None
    if found is None:
        raise PydanticCustomError("moment", MEANT)
    return found


WHOLE = BeforeValidator(_integer)
"""Of an integer; after its bounds, or the document would not have them."""
Flag = Annotated[bool, BeforeValidator(_flag)]
Id = Annotated[uuid.UUID, BeforeValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
Time = Annotated[
    datetime.datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2030-01-31T08:00:00+01:00"]}),
]


def refuse_unknown(request: Request) -> None:
    """Raises InvalidRequest if the query has a parameter that the operation's document does not."""
    route: Any = request.scope["route"]
    if not request.scope["query_string"] or not request.scope["path"].startswith(_CHECKED):
        return
    known = {field.alias for field in get_flat_params(route.dependant) if isinstance(field.field_info, params.Query)}
    told = (route.openapi_extra or {}).get("parameters", ())
    # An object is spread over parameters of their own names.
    patterns = [each["schema"]["propertyNames"]["pattern"] for each in told if each["schema"]["type"] == "object"]
    known |= {each["name"] for each in told if each["schema"]["type"] != "object"}
    wrong = [
        JsonError(join_pointer("/query", name), "is not a known parameter")
        for name in request.query_params.keys() - known
        if not any(re.search(pattern, name) for pattern in patterns)
    ]
    if wrong:
        raise InvalidRequest(sorted(wrong))
