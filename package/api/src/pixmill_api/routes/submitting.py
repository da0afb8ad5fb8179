"""What all calls that make a job share: a row, then 202; or the finished job, for who prefers to wait for it."""

import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.prefer import MOST, wait_of
from pixmill_api.errors import NotFound, StreamsUnavailable
from pixmill_api.idempotency import Once, created
from pixmill_api.openapi import KEYED, REPLAYED_HEADER, Extra, Responses, success
from pixmill_api.progress.opening import hub_of
from pixmill_api.progress.waiting import until_ended
from pixmill_api.schemas import JobDocument
from pixmill_api.service.job_documents import find_job
from pixmill_shared.database.engine import DatabaseUnavailable
from pixmill_shared.domain.jobs import TERMINAL

RETRY_AFTER: Final = "1"
"""Seconds until a look at the job may be worth it."""

_KEPT_HEADERS: Final = ("Location", REPLAYED_HEADER)

HELD: Final[Extra] = {
    "parameters": [
        *KEYED["parameters"],
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "examples": ["wait=10"]},
            "description": f"`wait=N` holds the answer for up to N seconds, {MOST} at most, until the job has ended: "
            "then it is 200, with `Preference-Applied: wait=N`. What cannot be done is ignored (RFC 7240)",
        },
    ]
}
"""Of a call that makes a job, whose answer may be held: ``held`` does it."""

MADE: Final[Responses] = {**success(200, JobDocument), **success(202, JobDocument)}
"""What such a call is answered with."""


async def held(request: Request, context: Context, caller: Caller, answer: Response) -> Response:
    """The finished job instead of ``answer``, which made it, if the client prefers to wait and that is long enough.

    What is recorded under an Idempotency-Key is ``answer``, so a repeated request waits too.
    """
    seconds = wait_of(request.headers.getlist("Prefer"))
    if not seconds or answer.status_code != 202:
        return answer
    job_id = uuid.UUID(json.loads(bytes(answer.body))["job_id"])
    try:
        await until_ended(hub_of(request), str(job_id), seconds, request.receive)
        document = await run_in_threadpool(find_job, context, caller, job_id)
    except (StreamsUnavailable, NotFound, *DatabaseUnavailable):
        return answer  # the job was made, which is what was asked for
    headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
    if document["status"] not in TERMINAL:
        return JSONResponse(document, 202, {**headers, "Retry-After": RETRY_AFTER})
    return JSONResponse(document, 200, {**headers, "Preference-Applied": f"wait={seconds}"})


async def accepted(once: Once, content: object, make: Callable[[Session], dict[str, Any]]) -> Response:
    """Answers when the row is committed, whether the broker is there or not.

    ``content``: what the request says; ``make``: makes the job in the session's transaction, and gives its document.
    """

    def answer(session: Session) -> Response:
        document = make(session)
        return created(202, document, {"Location": document["urls"]["self"], "Retry-After": RETRY_AFTER})

    return await once.answer(content, answer)


def request_id_of(request: Request) -> str:
    """The one that the middleware settled on."""
    return str(request.state.request_id)
