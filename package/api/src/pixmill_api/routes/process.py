"""``POST /process``: the short form, for one output."""

from contextlib import aclosing
from typing import Any, Final

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from pixmill_api.auth import Caller, Context, Shared, Writing
from pixmill_api.bodies import limited, read_json
from pixmill_api.domain.documents import read_document
from pixmill_api.domain.media_types import FORM, essence
from pixmill_api.errors import InvalidRequest
from pixmill_api.idempotency import Once, once_per_key
from pixmill_api.openapi import body, problems_of
from pixmill_api.process_schemas import ProcessForm, ProcessRequest
from pixmill_api.reading import read_short
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import HELD, MADE, accepted, held, request_id_of
from pixmill_api.service.form_intake import ENVELOPE, received_form
from pixmill_api.service.presets import resolve_recipe
from pixmill_api.service.submission import Submission, submit
from pixmill_shared.domain.json_reader import JsonError

router = make_router("process")

_NUMBERS: Final = ("width", "height")


@router.post(
    "",
    status_code=202,
    summary="Make one picture",
    responses={**MADE, **problems_of(400, 401, 409, 413, 415, 422, 429, 503)},
    openapi_extra={**body(ProcessRequest, form=ProcessForm), **HELD},
)
async def process(request: Request, context: Shared, caller: Writing) -> Response:
    """Fit a picture into a box, with a filter if you like, or make of it what a preset says.

    The picture comes by URL, with JSON, or in the field `file` of a form.

    Without a preset the format stays the source's if that is jpeg, png, webp, avif or gif, else it becomes jpeg.
    """
    once = once_per_key(request, context, caller)
    content_type = request.headers.get("content-type") or ""
    if essence(content_type) == FORM:
        if once.key is None:
            context.backlog.refuse_early()
        answer = await _from_form(request, content_type, context, caller, once)
        return await held(request, context, caller, answer)
    document = await read_json(request, context.settings.max_body_bytes)
    wanted, recipe = read_short(ProcessRequest, document)

    def make(session: Session) -> dict[str, Any]:
        chosen = resolve_recipe(session, caller, recipe, wanted.preset)
        submission = Submission(caller, chosen, wanted, request_id_of(request), url=wanted.image_url)
        return submit(context, session, submission)

    return await held(request, context, caller, await accepted(once, document, make))


async def _from_form(request: Request, content_type: str, context: Context, caller: Caller, once: Once) -> Response:
    limit = context.max_source_bytes + context.settings.max_body_bytes + ENVELOPE
    async with (
        aclosing(limited(request, limit, context.uploads.idle_timeout)) as chunks,
        received_form(context, content_type, chunks, known=tuple(ProcessForm.model_fields)) as form,
    ):
        wanted, recipe = read_short(ProcessForm, _as_json(form.fields))

        def make(session: Session) -> dict[str, Any]:
            chosen = resolve_recipe(session, caller, recipe, wanted.preset)
            submission = Submission(caller, chosen, wanted, request_id_of(request), attached=form.upload)
            return submit(context, session, submission)

        return await accepted(once, form.content(), make)


def _as_json(fields: dict[str, str]) -> dict[str, Any]:
    """The JSON document that says the same as the fields; an empty field is an absent one."""
    document: dict[str, Any] = {name: text for name, text in fields.items() if text != ""}
    for name in _NUMBERS:
        if document.get(name, "").isdecimal() and len(document[name]) < 10:
            document[name] = int(document[name])
    if "metadata" in document:
        try:
            document["metadata"] = read_document(document["metadata"].encode())
        except ValueError:
            raise InvalidRequest([JsonError("/metadata", "must be a JSON object")]) from None
    return document
