"""Dead letters: list what gave up, look at one, send one or many again."""

import uuid
from typing import Annotated

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Reading, Shared, Writing
from pixmill_api.dead_letter_schemas import DeadLetterDocument, DeadLetterList, Replays
from pixmill_api.domain.documents import is_storable
from pixmill_api.domain.ids import parse_id
from pixmill_api.errors import InvalidRequest, NotFound
from pixmill_api.idempotency import created, once_per_key
from pixmill_api.openapi import KEYED, problems_of, success
from pixmill_api.paging import Cursor, Limit, before
from pixmill_api.parameters import WHOLE, Flag, Time
from pixmill_api.routes import router as make_router
from pixmill_api.routes.submitting import request_id_of
from pixmill_api.schemas import JobDocument
from pixmill_api.service import dead_letter_documents
from pixmill_api.service.dead_letter_documents import projects_of
from pixmill_api.task_schemas import TaskDocument
from pixmill_api.webhook_schemas import DeliveryDocument
from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.repositories.dead_letters import Letters
from pixmill_shared.service.replay import MOST, REPLAYABLE

router = make_router("dead-letters")

Since = Annotated[Time, Query(description="when the work gave up, as RFC 3339 with a zone")]
Until = Annotated[Time | None, Query(description="exclusive")]


@router.get("", summary="List dead letters", responses={**success(200, DeadLetterList), **problems_of(401, 422, 503)})
async def list_dead_letters(
    context: Shared,
    caller: Reading,
    task: Annotated[str | None, Query(max_length=200, description="the whole name")] = None,
    since: Since | None = None,
    until: Until = None,
    replayed: Flag | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> JSONResponse:
    """Newest first. What came from the broker and is no work belongs to nobody: it is listed with PIXMILL_AUTH=off."""
    if task is not None and not is_storable(task):
        raise InvalidRequest([JsonError("/query/task", "has a NUL character in it")])
    which = Letters(projects_of(context, caller), task, since, until, replayed)
    page = await run_in_threadpool(
        dead_letter_documents.list_letters, context, which, limit=limit, before=before(cursor)
    )
    return JSONResponse(page)


@router.get(
    "/{dead_letter_id}",
    summary="Look at a dead letter",
    responses={**success(200, DeadLetterDocument), **problems_of(401, 404, 503)},
)
async def get_dead_letter(dead_letter_id: str, context: Shared, caller: Reading) -> JSONResponse:
    """Why the work gave up, what it was, and whether it was sent again, by whom and as what."""
    found = await run_in_threadpool(dead_letter_documents.find_letter, context, caller, _id(dead_letter_id))
    return JSONResponse(found)


@router.post(
    "/{dead_letter_id}/replay",
    status_code=202,
    summary="Send a dead letter again",
    responses={
        **success(202, JobDocument, DeliveryDocument, TaskDocument, DeadLetterDocument),
        **problems_of(400, 401, 404, 409, 422, 429, 503),
    },
    openapi_extra=KEYED,
)
async def replay_dead_letter(request: Request, dead_letter_id: str, context: Shared, caller: Writing) -> Response:
    """A new job, or a new delivery of the same event, which points at its origin; or a task once more; or a message of
    an alert, and then the answer is the letter.

    409 if the letter was replayed before (the detail names what was made then), if what it tells of was deleted, if its
    endpoint is disabled, or if it tells of nothing.
    """
    once = once_per_key(request, context, caller)
    letter_id, request_id = _id(dead_letter_id), request_id_of(request)

    def answer(session: Session) -> Response:
        document, location = dead_letter_documents.replay_letter(
            context, session, caller, letter_id, request_id=request_id
        )
        return created(202, document, {"Location": location, "Retry-After": "1"})

    return await once.answer(None, answer)


@router.post(
    "/replay",
    status_code=202,
    summary="Send many dead letters again",
    responses={**success(202, Replays), **problems_of(401, 422, 429, 503)},
)
async def replay_dead_letters(
    request: Request,
    context: Shared,
    caller: Writing,
    task: Annotated[str, Query(json_schema_extra={"enum": list(REPLAYABLE)})],
    since: Since,
    until: Until = None,
    limit: Annotated[int, Field(ge=1, le=MOST), WHOLE, Query()] = MOST,
) -> JSONResponse:
    """Oldest first, each once; what cannot be replayed is passed over. While `has_more`, call again with the same
    `until`: without one the letters of what was replayed and failed again are taken on as well.

    Task and time must be given, so that nobody sends everything again by accident.
    """
    if task not in REPLAYABLE:
        raise InvalidRequest([JsonError("/query/task", f"must be one of {', '.join(REPLAYABLE)}")])
    which = Letters(projects_of(context, caller), task, since, until)
    found = await run_in_threadpool(
        dead_letter_documents.replay_letters,
        *(context, caller, which),
        limit=limit,
        request_id=request_id_of(request),
    )
    return JSONResponse(found, 202)


def _id(text: str) -> uuid.UUID:
    letter_id = parse_id(text)
    if letter_id is None:
        raise NotFound("There is no such dead letter.")
    return letter_id
