"""Headers of answers in the OpenAPI document: those that follow from what a call is, and what each says.

Routes name the others, in ``success(...)`` and ``file_answers(...)``.
"""

from collections.abc import Iterator
from typing import Any, Final

from pixmill_api.domain.tus import VERSION
from pixmill_api.openapi import KEY_HEADER, PROBLEM, REPLAYED_HEADER, sent

_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "string", "pattern": "^[0-9]+$", "examples": ["1"]}

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Accept-Ranges": {"schema": _TEXT, "description": "`bytes`: a part of them can be asked for by `Range`; or `none`"},
    "Content-Disposition": {"schema": _TEXT, "description": "the name of the file"},
    "Content-Range": {"schema": _TEXT, "description": "which of the bytes these are, and how many there are"},
    "ETag": {
        "schema": _TEXT,
        "description": "changes with the content: for `If-None-Match`, `If-Match`, `If-Range`",
    },
    REPLAYED_HEADER: {
        "schema": {"type": "string", "enum": ["true"]},
        "description": f"this is the first answer under the `{KEY_HEADER}`, once more",
    },
    "Location": {"schema": _TEXT, "description": "where the thing is"},
    "Preference-Applied": {
        "schema": {"type": "string", "examples": ["wait=10"]},
        "description": "the answer was held, as `Prefer` wished",
    },
    "RateLimit": {
        "schema": {"type": "string", "examples": ['"key";r=9;t=1']},
        "description": "requests that the API key has left (`r`), and seconds until it has them all (`t`), if it has a "
        "limit",
    },
    "RateLimit-Policy": {
        "schema": {"type": "string", "examples": ['"key";q=20;w=10']},
        "description": "requests that the API key may send at once (`q`), and seconds until they are all back (`w`)",
    },
    "Retry-After": {"schema": _SECONDS, "description": "seconds until it is worth asking again"},
    "Tus-Resumable": {"schema": {"type": "string", "enum": [VERSION]}, "description": "the version of tus"},
    "Tus-Version": {"schema": _TEXT, "description": "the version of tus that is spoken"},
    "WWW-Authenticate": {"schema": _TEXT, "description": "`Bearer`"},
    "X-Request-ID": {"schema": _TEXT, "description": "the id of the request: its own if it had one, else a new one"},
}
_OF_PROBLEMS: Final = {
    "401": ("WWW-Authenticate",),
    "412": ("Tus-Version",),
    "416": ("Content-Range",),
    "423": ("Retry-After",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def add_headers(document: dict[str, Any]) -> None:
    """To each answer, beside those that its route names."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                found = sent(*_following(path, operation, status, answer))
                answer["headers"] = {**found, **answer.get("headers", {})}
    document["components"]["headers"] = HEADERS


def _following(path: str, operation: dict[str, Any], status: str, answer: dict[str, Any]) -> Iterator[str]:
    taken = {parameter["name"] for parameter in operation.get("parameters", ())}
    yield "X-Request-ID"
    if "/tus" in path:
        yield "Tus-Resumable"
    if "security" in operation and status != "401":
        yield from ("RateLimit", "RateLimit-Policy")
    if KEY_HEADER in taken:
        yield from _of_a_repeatable(status)
    if "Prefer" in taken and status == "200":
        yield from ("Location", "Preference-Applied")
    if PROBLEM in answer.get("content", {}) and (status != "412" or "/tus" in path):
        yield from _OF_PROBLEMS.get(status, ())


def _of_a_repeatable(status: str) -> Iterator[str]:
    """Of a call that makes something once per key."""
    if status.startswith("2"):
        yield REPLAYED_HEADER
    if status == "202":
        yield from ("Location", "Retry-After")
    if status == "409":
        yield "Retry-After"
