"""What all calls that make a job share: a row, then 202."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from pixmill_api.idempotency import Once, created

RETRY_AFTER: Final = "1"
"""Seconds until a look at the job may be worth it."""


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
