"""Which pages may call the API from a browser, and which headers of its answers they see."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pixmill_api.problems import PREFLIGHT_REFUSED, problem
from pixmill_api.settings.cors import ANY

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EXPOSED: Final = (
    *("Location", "Retry-After", "X-Request-ID", "ETag", "Content-Range", "Content-Disposition"),
    *("Idempotency-Replayed", "Preference-Applied", "RateLimit", "RateLimit-Policy"),
    *("Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata"),
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
)
LONGEST_PREFLIGHT: Final = 7_200
"""Seconds that browsers remember what they may send; none remembers it for longer."""


class _Origins(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code == HTTPStatus.OK else _Refused(answer)


class _Refused(Response):
    """A preflight that is refused, as the problem of its request."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code)
        self._kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(Request(scope), PREFLIGHT_REFUSED, f"{bytes(self.body).decode()}.", headers=self._kept)
        await answer(scope, receive, send)


def install(app: FastAPI, origins: Sequence[str]) -> None:
    """Call it after all middleware is added that answers by itself: errors and refusals are answers that a page must be
    able to read.

    Cookies and the like are taken from pages of the origins that are named, and from nobody where all are let in.
    """
    if origins:
        app.add_middleware(
            _Origins,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=[ANY],
            allow_credentials=ANY not in origins,
            expose_headers=EXPOSED,
            max_age=LONGEST_PREFLIGHT,
        )
