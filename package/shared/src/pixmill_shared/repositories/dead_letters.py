"""Work that gave up, and what came from the broker that nobody can do. SQLAlchemy: rare by nature."""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Uuid, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_shared.contract.requests import REQUESTABLE
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.models import AlertMessage, DeadLetter, Delivery, Endpoint, Job, TaskRequest
from pixmill_shared.domain.ids import new_id
from pixmill_shared.repositories import clock

OF_JOBS: Final = (TaskName.FETCH_SOURCE, TaskName.RENDER_JOB, TaskName.GENERATE_CHUNK)
OF_DELIVERIES: Final = (TaskName.DELIVER_WEBHOOK,)
OF_MESSAGES: Final = (TaskName.SEND_MESSAGE,)
OF_REQUESTS: Final = tuple(each.task for each in REQUESTABLE)


@dataclass(frozen=True)
class Letters:
    """Which dead letters. ``projects`` None: everybody's; a None among them: those that belong to nobody.

    ``since`` and ``until`` (exclusive) are about when the work gave up.
    """

    projects: tuple[str | None, ...] | None = None
    task: str | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    replayed: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.projects is not None:
            found.append(_of(self.projects))
        if self.task is not None:
            found.append(DeadLetter.task == self.task)
        if self.since is not None:
            found.append(DeadLetter.created_at >= self.since)
        if self.until is not None:
            found.append(DeadLetter.created_at < self.until)
        if self.replayed is not None:
            found.append(DeadLetter.replayed_at.is_not(None) if self.replayed else DeadLetter.replayed_at.is_(None))
        return found


@dataclass(frozen=True)
class RefusedItem:
    """Something from the broker that is no work; ``id`` is minted where it was found, so that it is kept once."""

    id: uuid.UUID
    task: str
    payload: dict[str, Any]
    error: dict[str, Any]


def bury(
    session: Session,
    *,
    project: str | None,
    task: TaskName,
    payload: dict[str, Any],
    error: dict[str, Any],
    attempts: int,
    traceback: str | None = None,
) -> None:
    """Keep what is needed to look into the failure and to replay it; in the transaction that records the failure."""
    session.add(
        DeadLetter(
            id=new_id(),
            project=project,
            task=task,
            payload=payload,
            error=error,
            attempts=attempts,
            traceback=traceback,
        )
    )


_STILL_THE_SAME: Final = datetime.timedelta(days=1)


def bury_run(
    session: Session,
    *,
    task: str,
    payload: dict[str, Any],
    error: dict[str, Any],
    attempts: int,
    traceback: str | None = None,
) -> None:
    """The same of a task that has no row. What fails at each of its ticks has one letter a day, which counts them."""
    recent = DeadLetter.created_at > func.clock_timestamp() - _STILL_THE_SAME
    same = (DeadLetter.project.is_(None), DeadLetter.task == task, DeadLetter.payload == payload, recent)
    query = select(DeadLetter).where(*same, DeadLetter.replayed_at.is_(None)).order_by(DeadLetter.id.desc()).limit(1)
    letter = session.scalar(query.with_for_update())
    if letter is None:
        letter = DeadLetter(id=new_id(), project=None, task=task, payload=payload, attempts=0)
        session.add(letter)
    letter.error, letter.traceback, letter.attempts = error, traceback, letter.attempts + attempts


def keep_refused(session: Session, item: RefusedItem) -> None:
    """Does nothing if it is there already."""
    values = {"id": item.id, "task": item.task, "payload": item.payload, "error": item.error, "attempts": 0}
    session.execute(insert(DeadLetter).values(**values).on_conflict_do_nothing())


def page(session: Session, which: Letters, *, limit: int, before: uuid.UUID | None = None) -> Sequence[DeadLetter]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(DeadLetter).where(*which.conditions())
    if before is not None:
        query = query.where(DeadLetter.id < before)
    return session.scalars(query.order_by(DeadLetter.id.desc()).limit(limit + 1)).all()


def find(session: Session, letter_id: uuid.UUID, projects: tuple[str | None, ...] | None) -> DeadLetter | None:
    """None also for another project's."""
    return session.scalar(select(DeadLetter).where(DeadLetter.id == letter_id, *Letters(projects).conditions()))


def lock(session: Session, letter_id: uuid.UUID, projects: tuple[str | None, ...] | None) -> DeadLetter | None:
    """As ``find``, until the transaction ends: who comes second sees what the first one wrote."""
    query = select(DeadLetter).where(DeadLetter.id == letter_id, *Letters(projects).conditions())
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def lock_replayable(session: Session, which: Letters, limit: int) -> Sequence[DeadLetter]:
    """Not replayed yet, and what they tell of is still there, and its endpoint not disabled; oldest first. Those that
    others hold are passed by.
    """
    query = select(DeadLetter).where(*which.conditions(), DeadLetter.replayed_at.is_(None), _has_origin())
    return session.scalars(query.order_by(DeadLetter.id).limit(limit).with_for_update(skip_locked=True)).all()


def count_replayable(session: Session, which: Letters, most: int) -> int:
    """At most ``most``, so that nobody counts a million."""
    query = select(DeadLetter.id).where(*which.conditions(), DeadLetter.replayed_at.is_(None), _has_origin())
    return session.scalar(select(func.count()).select_from(query.limit(most).subquery())) or 0


def so_far(session: Session, which: Letters) -> Letters:
    """The same without what comes into being from now on, by the database's clock."""
    return replace(which, until=which.until or clock.now(session))


def mark_replayed(session: Session, letter: DeadLetter, *, by: str, made: uuid.UUID) -> None:
    """``letter`` is locked by this transaction, which also makes ``made``."""
    letter.replayed_at, letter.replayed_by, letter.replayed_as = func.clock_timestamp(), by, made
    session.flush()


def _of(projects: tuple[str | None, ...]) -> ColumnElement[bool]:
    named = [project for project in projects if project is not None]
    theirs = DeadLetter.project.in_(named)
    return or_(theirs, DeadLetter.project.is_(None)) if None in projects else theirs


def _has_origin() -> ColumnElement[bool]:
    # What the broker brought has none of these keys in its payload, whatever task it names.
    job = exists().where(Job.id == cast(DeadLetter.payload["job_id"].astext, Uuid))
    disabled = exists().where(Endpoint.id == Delivery.endpoint_id, Endpoint.disabled_at.is_not(None))
    delivery = exists().where(Delivery.id == cast(DeadLetter.payload["delivery_id"].astext, Uuid), ~disabled)
    message = exists().where(AlertMessage.id == cast(DeadLetter.payload["message_id"].astext, Uuid))
    request = exists().where(TaskRequest.id == cast(DeadLetter.payload["task_request_id"].astext, Uuid))
    return or_(
        DeadLetter.task.in_(OF_JOBS) & job,
        DeadLetter.task.in_(OF_DELIVERIES) & delivery,
        DeadLetter.task.in_(OF_MESSAGES) & message,
        DeadLetter.task.in_(OF_REQUESTS) & request,
    )
