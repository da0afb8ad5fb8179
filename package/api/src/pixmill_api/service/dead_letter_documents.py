"""Dead letters as clients see them, and their replay.

A key sees those of its project. What came from the broker belongs to nobody: it is shown where keys are off.
"""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.errors import Conflict, NotFound, ScopeMissing
from pixmill_api.service.delivery_documents import shown_delivery
from pixmill_api.service.job_documents import found_job, shown_job
from pixmill_api.service.pages import page_of
from pixmill_api.service.task_requests import task_document
from pixmill_shared.contract.requests import BUILD_ARCHIVE, requestable
from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.models import DeadLetter, Delivery, TaskRequest
from pixmill_shared.domain.moments import utc
from pixmill_shared.errors import ReplayRefused
from pixmill_shared.repositories import dead_letters
from pixmill_shared.repositories.dead_letters import Letters
from pixmill_shared.service.replay import Replayed, kind_of, replay, replay_many


def projects_of(context: Context, caller: Caller) -> tuple[str | None, ...]:
    return (caller.project,) if context.settings.keys_required else (caller.project, None)


def list_letters(context: Context, which: Letters, *, limit: int, before: uuid.UUID | None) -> dict[str, Any]:
    """One page, newest first."""
    with context.runtime.database.session_scope() as session:
        rows = dead_letters.page(session, which, limit=limit, before=before)
        shown, more = rows[:limit], len(rows) > limit
        data = [_document(context, letter) for letter in shown]
    return page_of(data, shown, more=more)


def find_letter(context: Context, caller: Caller, letter_id: uuid.UUID) -> dict[str, Any]:
    """Raises NotFound, for another project's too."""
    with context.runtime.database.session_scope() as session:
        letter = dead_letters.find(session, letter_id, projects_of(context, caller))
        if letter is None:
            raise _not_found()
        # A key may be a customer's, and a traceback names files and modules of the server.
        traceback = None if context.settings.keys_required else letter.traceback
        return {**_document(context, letter), "traceback": traceback}


def replay_letter(
    context: Context, session: Session, caller: Caller, letter_id: uuid.UUID, *, request_id: str
) -> tuple[dict[str, Any], str]:
    """The new job, delivery or task, and its address; of a message, which has none, the letter.

    Raises NotFound, QueueFull, ScopeMissing for a task that the key could not start, and Conflict for what was replayed
    or cannot be.
    """
    try:
        made = replay(session, letter_id, projects_of(context, caller), by=caller.name, request_id=request_id)
    except ReplayRefused as error:
        raise Conflict(str(error)) from None
    if made is None:
        raise _not_found()
    if made.kind == "delivery":
        delivery = shown_delivery(context, session, session.get_one(Delivery, made.id))
        return delivery, delivery["urls"]["self"]
    if made.kind == "task":
        request = session.get_one(TaskRequest, made.id)
        require_rights(caller, request.task)
        task = task_document(context, request)
        return task, task["urls"]["self"]
    if made.kind == "message":
        letter = _document(context, session.get_one(DeadLetter, letter_id))
        return letter, letter["urls"]["self"]
    context.backlog.admit(session)
    document = shown_job(context, session, found_job(session, caller, made.id))
    return document, document["urls"]["self"]


def require_rights(caller: Caller, task: str) -> None:
    """Raises ScopeMissing if the task is one that administrators start; archives are asked for by others too."""
    if requestable(task) not in (None, BUILD_ARCHIVE) and Scope.ADMIN not in caller.scopes:
        raise ScopeMissing(Scope.ADMIN)


def replay_letters(context: Context, caller: Caller, which: Letters, *, limit: int, request_id: str) -> dict[str, Any]:
    """Raises QueueFull if too many jobs wait already, whatever is replayed, and ScopeMissing as ``replay_letter``."""
    require_rights(caller, which.task or "")
    with context.runtime.database.session_scope() as session:
        context.backlog.admit(session)
    found = replay_many(context.runtime.database, which, by=caller.name, limit=limit, request_id=request_id)
    return {"replayed": len(found.made), "has_more": found.more, "data": [_replayed(each) for each in found.made]}


def _document(context: Context, letter: DeadLetter) -> dict[str, Any]:
    kind = kind_of(letter)
    url, job = _url(context, letter.id), letter.payload.get("job_id") if kind == "job" else None
    return {
        "dead_letter_id": str(letter.id),
        "task": letter.task,
        "kind": kind,
        "payload": letter.payload,
        "error": {key: letter.error.get(key) for key in ("code", "title", "detail", "retryable")},
        "attempts": letter.attempts,
        "traceback": None,
        "created_at": utc(letter.created_at),
        "replayed_at": utc(letter.replayed_at),
        "replayed_by": letter.replayed_by,
        "replayed_as": str(letter.replayed_as) if letter.replayed_as else None,
        "urls": {
            "self": url,
            "replay": f"{url}/replay" if kind and letter.replayed_at is None else None,
            "job": f"{context.public_url}/api/v1/jobs/{job}" if job else None,
        },
    }


def _replayed(made: Replayed) -> dict[str, Any]:
    return {"dead_letter_id": str(made.letter_id), "kind": made.kind, "id": str(made.id)}


def _url(context: Context, letter_id: uuid.UUID) -> str:
    return f"{context.public_url}/api/v1/dead-letters/{letter_id}"


def _not_found() -> NotFound:
    return NotFound("There is no such dead letter.")
