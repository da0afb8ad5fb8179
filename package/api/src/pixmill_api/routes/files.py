"""``/files/…``: what signed URLs of a directory store lead to. The signature is the permission; no key is asked for."""

import datetime
import hashlib
from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from pixmill_api.auth import Shared
from pixmill_api.domain.media_types import ZIP
from pixmill_api.errors import LinkRefused
from pixmill_api.openapi import Extra, file_answers, problems_of
from pixmill_api.service.serving import serve_object

router = APIRouter(tags=["files"])

_SIGNED: Final = {
    "expires": "seconds since 1970: until then the link opens the file",
    "type": "the media type of the file",
    "name": "the name of the file",
    "signature": "of all this; a link with anything else in it opens nothing",
}
_QUERY: Final[Extra] = {
    "parameters": [
        {"name": name, "in": "query", "required": True, "schema": {"type": "string"}, "description": description}
        for name, description in _SIGNED.items()
    ]
}
"""Not read by FastAPI: whatever is wrong with it, the answer is that of a link which is not valid."""


@router.head("/files/{key:path}", include_in_schema=False)
@router.get(
    "/files/{key:path}",
    summary="Open a signed link",
    responses={**file_answers("image/*", ZIP), **problems_of(403, 404, 416, 503)},
    openapi_extra=_QUERY,
)
async def get_file(request: Request, key: str, context: Shared) -> Response:
    """Links are made by pixmill, in `outputs[].url` of a job, and end after a while."""
    query = request.query_params
    now = datetime.datetime.now(datetime.UTC)
    if not context.runtime.signer.verify(key, query, now):
        raise LinkRefused
    return await run_in_threadpool(
        serve_object,
        request,
        context.runtime.store,
        key,
        media_type=query["type"],
        name=query["name"],
        # The object never changes under its key, so the key stands for the bytes.
        etag=f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"',
        max_age=int(int(query["expires"]) - now.timestamp()),
    )
