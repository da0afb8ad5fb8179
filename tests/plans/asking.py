"""Every GET of the OpenAPI document, sent to the application in this process, and the statements that it sends."""

import asyncio
import datetime
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import psycopg2.extensions
from fastapi import FastAPI
from sqlalchemy import Engine, event

from pixmill_api.domain.ids import cursor_of
from pixmill_api.domain.presets import cursor_after

BASE: Final = "/api/"
LONGEST: Final = 60.0
"""Seconds that an answer may take to begin."""

#: Which row of ``filling.ids`` a parameter of a path names.
_IN_PATH: Final = {
    **{f"{kind}_id": kind for kind in ("job", "batch", "delivery", "endpoint", "key", "pipeline", "run")},
    "dead_letter_id": "letter",
    "task_id": "request",
}
#: What parameters of queries are asked with, besides the values of enumerations.
_IN_QUERY: Final[Mapping[str, Callable[[Mapping[str, uuid.UUID]], list[str]]]] = {
    "limit": lambda ids: ["200"],
    "batch": lambda ids: [str(ids["batch"]), str(uuid.UUID(int=7))],
    "pipeline": lambda ids: [str(ids["pipeline"]), str(uuid.UUID(int=7))],
    "endpoint": lambda ids: [str(ids["endpoint"]), str(uuid.UUID(int=7))],
    "job": lambda ids: [str(ids["job"]), str(uuid.UUID(int=7))],
    "since": lambda ids: [_moment(ids["job"])],
    "until": lambda ids: [_moment(ids["job"])],
    "replayed": lambda ids: ["true", "false"],
    "task": lambda ids: ["pixmill_imaging.tasks.render.render_job", "nothing"],
    "version": lambda ids: ["3"],
    "last_event_id": lambda ids: ["1"],
    # One row, many rows, none.
    "metadata": lambda ids: ["order=4", "shop=x", "order=nothing"],
}
#: Of signed addresses, which need no other statement.
_PASSED_BY: Final = ("expires", "signature")
#: Right answers that are none of 2xx and 3xx: there is no archive of a batch that is under way.
REFUSED: Final = {"/api/v1/batches/{batch_id}/archive": 409}


class Question(NamedTuple):
    """``path`` as in the document; ``target`` with a query."""

    path: str
    target: str


class Answer(NamedTuple):
    status: int
    statements: list[str]


def questions(document: Mapping[str, Any], ids: Mapping[str, uuid.UUID]) -> Iterator[Question]:
    """Of each GET one without a query, one for every value of every filter, and each of these also for the largest page
    in the middle of the list. Raises KeyError for a parameter that has no place in this module.
    """
    for path, operations in document["paths"].items():
        if path.startswith(BASE) and "get" in operations:
            parameters = operations["get"].get("parameters", ())
            known = {each["name"] for each in parameters if each["in"] == "query"}
            filters = [{}, *_filters(document, parameters, ids)]
            pages = [{}, {"limit": "200", "cursor": _cursor(path, ids)}] if "cursor" in known else [{}]
            for chosen, page in itertools.product(filters, pages):
                query = urlencode({**chosen, **page})
                yield Question(path, _path(path, ids) + (f"?{query}" if query else ""))


def _filters(document: Mapping[str, Any], parameters: Any, ids: Mapping[str, uuid.UUID]) -> Iterator[dict[str, str]]:
    for parameter in parameters:
        name = parameter["name"]
        if parameter["in"] != "query" or name in (*_PASSED_BY, "limit", "cursor"):
            continue
        values = _enumerated(document, parameter["schema"]) or _IN_QUERY[name](ids)
        for value in values:
            if name == "metadata":
                key, _, text = value.partition("=")
                yield {f"metadata.{key}": text}
            else:
                yield {name: value}


def _enumerated(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    for part in (schema, *schema.get("anyOf", ())):
        model = part.get("$ref", "").rpartition("/")[2]
        found = document["components"]["schemas"][model] if model else part
        if "enum" in found:
            return [str(value) for value in found["enum"]]
    return []


def _cursor(path: str, ids: Mapping[str, uuid.UUID]) -> str:
    return cursor_after("p50") if path.endswith("/presets") else cursor_of(ids["job"])


def _path(path: str, ids: Mapping[str, uuid.UUID]) -> str:
    values = {name: str(ids[kind]) for name, kind in _IN_PATH.items()}
    values["name"] = "p50" if "presets" in path else "a"
    if "/image/" in path or path.endswith("/jobs/{job_id}/items"):
        values["job_id"] = str(ids["generating"])
    return path.format_map({name: quote(value) for name, value in values.items()})


def _moment(identity: uuid.UUID) -> str:
    milliseconds = identity.int >> 80
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).isoformat()


class _Recording(psycopg2.extensions.connection):
    """All connections that are opened meanwhile append what they send to ``sent``."""

    sent: list[str]

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        asked = kwargs.pop("cursor_factory", None) or self.cursor_factory or psycopg2.extensions.cursor
        sent = self.sent

        class Cursor(asked):  # type: ignore[misc]
            def execute(self, query: Any, variables: Any = None) -> Any:
                sent.append(self.mogrify(query, variables).decode())
                return super().execute(query, variables)

        return super().cursor(*args, cursor_factory=Cursor, **kwargs)


@contextmanager
def recording() -> Iterator[list[str]]:
    """What SQLAlchemy's connections of this process send that are opened in the block, in prepared form too."""
    sent: list[str] = []
    factory = type("Recording", (_Recording,), {"sent": sent})

    def connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["connection_factory"] = factory

    event.listen(Engine, "do_connect", connect)
    try:
        yield sent
    finally:
        event.remove(Engine, "do_connect", connect)


async def ask(app: FastAPI, target: str, token: str) -> int:
    """The status. Who asks goes when the first bytes have come: streams go on for ever."""
    path, _, query = target.partition("?")
    began = asyncio.Event()
    statuses: list[int] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await began.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        elif message.get("body") or not message.get("more_body"):
            began.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"test"), (b"authorization", f"Bearer {token}".encode())],
        "server": ("test", 80),
        "client": ("127.0.0.1", 1),
    }
    await asyncio.wait_for(app(scope, receive, send), LONGEST)
    return statuses[0]
