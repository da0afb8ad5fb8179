"""What routes say of themselves besides what FastAPI finds out: bodies that they read as streams, answers, problems.

Models are named where they are used, in ``body(...)``, ``form(...)`` and ``success(...)``: the document collects them
from there (``openapi_document.py``), and adds the problems that follow from what an operation takes.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

from pixmill_api.domain.media_types import FORM, JSON, UNKNOWN
from pixmill_api.schemas import Problem

REF: Final = "#/components/schemas/{model}"
PROBLEM: Final = "application/problem+json"
BINARY: Final = {"type": "string", "format": "binary"}

Mode = Literal["validation", "serialization"]
Responses = dict[int | str, dict[str, Any]]
Extra = dict[str, Any]
"""For a route's ``openapi_extra``."""


class Used(NamedTuple):
    """A model, and whether clients send it or get it."""

    model: type[BaseModel]
    mode: Mode


class Reference(dict[str, Any]):
    """``{"$ref": …}`` that knows its model until the document is built."""

    def __init__(self, used: Used) -> None:
        super().__init__({"$ref": REF.format(model=used.model.__name__)})
        self.used = used

    def __deepcopy__(self, memo: dict[int, Any]) -> "Reference":
        return self


def sent(*names: str) -> dict[str, dict[str, str]]:
    """Headers of an answer; ``openapi_headers.HEADERS`` says what each is."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


_GOOD: Final = {200: "Done", 201: "Made", 202: "Accepted: it is done in the background"}


def success(status: int, *models: type[BaseModel], headers: Sequence[str] = ()) -> Responses:
    """The answer that a client hopes for, which is one of ``models``. ``headers``: those that do not follow from what
    the call takes.
    """
    found = [Reference(Used(model, "serialization")) for model in models]
    schema = found[0] if len(found) == 1 else {"oneOf": found}
    return {status: {"description": _GOOD[status], "content": {JSON: {"schema": schema}}, "headers": sent(*headers)}}


_MEANINGS: Final = {
    400: "The request cannot be read",
    401: "An API key is needed",
    403: "The API key may not do that; the link is not valid, or no longer; or it is switched off here",
    404: "There is no such thing, or it is another project's",
    408: "The body came too slowly",
    409: "Not in this state; or the first request under the `Idempotency-Key` is still running, see `Retry-After`",
    410: "There was one, and its time is over",
    412: "It is not what `If-Match` names; or another version of tus is asked for than is spoken: see `Tus-Version`",
    413: "Too many bytes",
    415: "A content type that is not taken here",
    416: "The range begins after the end",
    422: "Well-formed, but wrong: see `errors`; or another request under the same `Idempotency-Key`",
    423: "Another request writes to the upload: see `Retry-After`",
    429: "Too many jobs wait, or too many requests came: see `Retry-After`",
    460: "The bytes are not those of the checksum",
    503: "A dependency is down; see `Retry-After`",
}


def problems_of(*statuses: int) -> Responses:
    """The problem documents that a call may answer with."""
    content = {PROBLEM: {"schema": Reference(Used(Problem, "serialization"))}}
    return {status: {"description": _MEANINGS.get(status, "Not possible"), "content": content} for status in statuses}


def body(*models: type[BaseModel], form: type[BaseModel] | None = None, required: bool = True) -> Extra:
    """A request body of JSON, which is one of ``models``, or of the multipart ``form`` if there is one."""
    found = [Reference(Used(model, "validation")) for model in models]
    content: dict[str, Any] = {JSON: {"schema": found[0] if len(found) == 1 else {"anyOf": found}}}
    if form is not None:
        content[FORM] = {"schema": Reference(Used(form, "validation"))}
    return {"requestBody": {"required": required, "content": content}}


def picture_body(form: type[BaseModel]) -> Extra:
    """A request body of the bytes of a picture, or of the multipart ``form``."""
    some = {**BINARY, "minLength": 1}
    content: dict[str, Any] = {"image/*": {"schema": some}, UNKNOWN: {"schema": some}}
    content[FORM] = {"schema": Reference(Used(form, "validation"))}
    return {"requestBody": {"required": True, "content": content}}


KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
KEYED: Final[Extra] = {
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


OF_FILES: Final = sent("ETag", "Accept-Ranges", "Content-Disposition")
"""Headers of an answer that is a file."""


def file_answers(*media_types: str) -> Responses:
    """Of a call that gives out bytes."""
    content = {media_type: {"schema": BINARY} for media_type in media_types}
    part = {**OF_FILES, **sent("Content-Range")}
    return {
        200: {"description": "The bytes", "content": content, "headers": OF_FILES},
        206: {"description": "The range of bytes", "content": content, "headers": part},
        304: {"description": "The client has them", "headers": OF_FILES},
    }
