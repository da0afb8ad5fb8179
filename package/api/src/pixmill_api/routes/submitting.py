"""What ``POST /process`` and ``POST /jobs`` share: a row, then 202."""

from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from pixmill_api.auth import Context
from pixmill_api.service.submission import Submission, submit

RETRY_AFTER: Final = "1"
"""Seconds until a look at the job may be worth it."""


async def accept(context: Context, submission: Submission) -> JSONResponse:
    """Answers when the row is committed, whether the broker is there or not."""
    document: dict[str, Any] = await run_in_threadpool(submit, context, submission)
    return JSONResponse(document, 202, {"Location": document["urls"]["self"], "Retry-After": RETRY_AFTER})


def request_id_of(request: Request) -> str:
    """The one that the middleware settled on."""
    return str(request.state.request_id)
