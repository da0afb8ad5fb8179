"""Which pages may call the API from a browser, and which headers of its answers they see."""

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

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


def install(app: FastAPI, origins: Sequence[str]) -> None:
    """Call it after all other middleware is added: errors and refusals are answers that a page must be able to read.

    Cookies and the like are taken from pages of the origins that are named, and from nobody where all are let in.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=[ANY],
            allow_credentials=ANY not in origins,
            expose_headers=EXPOSED,
            max_age=LONGEST_PREFLIGHT,
        )
