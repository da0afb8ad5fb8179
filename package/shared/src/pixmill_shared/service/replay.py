"""Dead letters sent again: a new job, delivery or message, or a task once more; each letter once.

Marking the letter and making the work are one transaction, so there is never one without the other.
"""

import contextlib
import uuid
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy.orm import Session

from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter
from pixmill_shared.errors import AlreadyReplayed, NotReplayable
from pixmill_shared.repositories import alert_messages, audit, dead_letters, resending, task_requests
from pixmill_shared.repositories.audit import Action
from pixmill_shared.repositories.dead_letters import OF_DELIVERIES, OF_JOBS, OF_MESSAGES, OF_REQUESTS, Letters
from pixmill_shared.service.repeating import repeat_job

MOST: Final = 1_000
"""Letters that one call of ``replay_many`` takes on."""

_AT_ONCE: Final = 50
"""Letters a transaction: new work holds its lane until the commit, and others want to submit meanwhile."""

REPLAYABLE: Final = tuple(str(task) for task in (*OF_JOBS, *OF_DELIVERIES, *OF_MESSAGES, *OF_REQUESTS))
"""The tasks whose dead letters tell of a row, which can be repeated."""


Kind = Literal["job", "delivery", "message", "task"]

_ORIGIN: Final[dict[Kind, str]] = {
    "job": "job_id",
    "delivery": "delivery_id",
    "message": "message_id",
    "task": "task_request_id",
}
"""What names the row in a letter's payload."""


@dataclass(frozen=True)
class Replayed:
    """What was made of a letter."""

    letter_id: uuid.UUID
    kind: Kind
    id: uuid.UUID


@dataclass(frozen=True)
class Replays:
    """``more``: letters were left that may be replayed too."""

    made: tuple[Replayed, ...]
    more: bool


def replay(
    session: Session,
    letter_id: uuid.UUID,
    projects: tuple[str | None, ...] | None,
    *,
    by: str,
    request_id: str | None = None,
) -> Replayed | None:
    """Replay one. None: there is no such letter. Raises AlreadyReplayed or NotReplayable.

    Of two at the same time the second waits for the first, and is told what it made.
    """
    letter = dead_letters.lock(session, letter_id, projects)
    if letter is None:
        return None
    if letter.replayed_at is not None:
        raise AlreadyReplayed(kind_of(letter), letter.replayed_as, letter.replayed_by, letter.replayed_at)
    return _replay(session, letter, by, request_id)


def replay_many(
    database: Database, which: Letters, *, by: str, limit: int = MOST, request_id: str | None = None
) -> Replays:
    """Replay those that can be, oldest first, at most ``limit``, a transaction for each few of them.

    Letters that come into being meanwhile are not taken on: they may tell of what this call made.
    """
    with database.session_scope() as session:
        which = dead_letters.so_far(session, which)
    made: list[Replayed] = []
    while len(made) < limit:
        wanted = min(_AT_ONCE, limit - len(made))
        with database.session_scope() as session:
            letters = dead_letters.lock_replayable(session, which, wanted)
            for letter in letters:
                # Deleted, or its endpoint disabled, since it was looked for: the next look leaves it out.
                with contextlib.suppress(NotReplayable):
                    made.append(_replay(session, letter, by, request_id))
        if len(letters) < wanted:
            break
    with database.session_scope() as session:
        more = dead_letters.count_replayable(session, which, 1) > 0
    return Replays(tuple(made), more)


def kind_of(letter: DeadLetter) -> Kind | None:
    """What a replay of it makes; None: it tells of no row."""
    if letter.task in OF_MESSAGES and _ORIGIN["message"] in letter.payload:
        return "message"  # which is nobody's project's
    if letter.project is None:
        return None
    if letter.task in OF_JOBS:
        return "job"
    if letter.task in OF_DELIVERIES:
        return "delivery"
    return "task" if letter.task in OF_REQUESTS else None


def _why_not(letter: DeadLetter) -> str:
    if letter.payload.keys() & {"entry", "task_id"}:
        words = "It tells of no row, but of a task of the schedule, whose next tick does what this one left undone."
        if letter.task not in OF_REQUESTS:
            return words
        return f"{words} To have it done now, start the task: POST /api/v1/tasks/{letter.task.rpartition('.')[2]}."
    return (
        "It came from the broker and tells of no row. Nothing is lost with it: pixmill sends the messages of its rows "
        "again by itself."
    )


def _replay(session: Session, letter: DeadLetter, by: str, request_id: str | None) -> Replayed:
    kind = kind_of(letter)
    if kind is None:
        raise NotReplayable(_why_not(letter))
    origin = uuid.UUID(letter.payload[_ORIGIN[kind]])
    match kind:
        case "job":
            made = repeat_job(session, origin, request_id=request_id)
        case "delivery":
            if resending.has_disabled_endpoint(session, origin):
                raise NotReplayable("The endpoint is disabled. Enable it first: PATCH it with disabled: false.")
            made = resending.repeat(session, origin)
        case "message":
            made = alert_messages.repeat(session, origin)
        case "task":
            made = task_requests.repeat(session, origin, requested_by=by, request_id=request_id)
    if made is None:
        raise NotReplayable(f"The {kind} that it tells of was deleted.")
    dead_letters.mark_replayed(session, letter, by=by, made=made)
    audit.record(
        *(session, Action.DEAD_LETTER_REPLAYED, letter.id),
        project=letter.project,
        actor=by,
        detail={kind: str(made)},
        request_id=request_id,
    )
    return Replayed(letter.id, kind, made)
