"""A form with a file: the file goes to the storage as it comes, and the whole form counts or nothing of it."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pixmill_api.auth import Context
from pixmill_api.errors import BodyTooLarge, InvalidRequest
from pixmill_api.forms import MultipartBody, Part
from pixmill_api.service.intake import StoredUpload, accepted_type, kept_if_used
from pixmill_shared.domain.json_reader import JsonError, join_pointer

FILE: Final = "file"
ENVELOPE: Final = 64 * 1024
"""Bytes that a form may have besides what it carries: boundaries and headers."""


@dataclass
class Form:
    """``fields`` as text."""

    upload: StoredUpload
    fields: dict[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """What the form says, in whatever order and between whatever boundaries it came."""
        return {"file": self.upload.content(), "fields": self.fields}


@asynccontextmanager
async def received_form(
    context: Context, content_type: str, chunks: AsyncIterator[bytes], known: Collection[str]
) -> AsyncIterator[Form]:
    """The whole form; if the block fails, the file goes again. ``known`` are the fields besides ``file``.

    Raises MalformedBody, InvalidRequest, BodyTooLarge, MediaTypeRefused.
    """
    fields: dict[str, str] = {}
    upload: StoredUpload | None = None
    async with AsyncExitStack() as stack:
        async for part in MultipartBody(content_type, chunks):
            if part.name == FILE and upload is None:
                media_type = accepted_type(part.content_type)
                storing = kept_if_used(
                    context.runtime.store, part.chunks, media_type, context.max_source_bytes, at=f"/{FILE}"
                )
                upload = await stack.enter_async_context(storing)
            else:
                await _read_field(part, fields, known, context.settings.max_body_bytes)
        if upload is None:
            raise InvalidRequest([JsonError(f"/{FILE}", "is missing")])
        yield Form(upload, fields)


async def _read_field(part: Part, fields: dict[str, str], known: Collection[str], limit: int) -> None:
    pointer = join_pointer("", part.name)
    if part.name == FILE or part.name in fields:
        raise InvalidRequest([JsonError(pointer, "is there more than once")])
    if part.name not in known:
        names = ", ".join((FILE, *known))
        raise InvalidRequest([JsonError(pointer, f"is not a field of this form; known here: {names}")])
    fields[part.name] = await part.text(limit)
    if sum(map(len, fields.values())) > limit:
        raise BodyTooLarge("The fields of the form", limit)
