"""What ``POST /process`` and ``POST /jobs`` share: a row, then 202."""

from typing import Final

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from pixmill_api.auth import Context
from pixmill_api.idempotency import Once, created
from pixmill_api.service.submission import Submission, submit

RETRY_AFTER: Final = "1"
"""Seconds until a look at the job may be worth it."""


async def accept(context: Context, once: Once, content: object, submission: Submission) -> Response:
    """Answers when the row is committed, whether the broker is there or not. ``content``: what the request says."""

    def make(session: Session) -> Response:
        document = submit(context, session, submission)
        return created(202, document, {"Location": document["urls"]["self"], "Retry-After": RETRY_AFTER})

    return await once.answer(content, make)


def request_id_of(request: Request) -> str:
    """The one that the middleware settled on."""
    return str(request.state.request_id)
