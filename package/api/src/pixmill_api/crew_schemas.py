"""Workers and the schedule as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from pixmill_shared.contract.queues import QueueName

SHORTEST: Final = 1.0
LONGEST: Final = 366 * 86_400.0
"""Seconds that the interval of an entry may have."""

_NOW: Final = "2030-01-31T08:00:00Z"
_WORKER: Final[dict[str, Any]] = {
    "name": "imaging@host",
    "state": "alive",
    "queues": ["imaging.high", "imaging", "imaging.low"],
    "pool": "prefork",
    "size": 4,
    "active": 3,
    "processed": 1234,
    "resident_bytes": 500_000_000,
    "scaling": {"min": 2, "max": 10, "because": "backlog", "by_hand": False},
    "started_at": _NOW,
    "seen_at": _NOW,
}
_RUN: Final[dict[str, Any]] = {
    "scheduled_at": _NOW,
    "task_id": "3f0c1f5e-8f4b-4d0e-9a43-0d5c3a6a7c11",
    "sent_at": _NOW,
    "started_at": _NOW,
    "finished_at": _NOW,
    "duration_ms": 4,
    "result": None,
    "error": None,
}
_ENTRY: Final[dict[str, Any]] = {
    "entry": "heartbeat",
    "does": "shows that beat, broker, worker and database work together",
    "task": "pixmill_shared.tasks.monitoring.record_heartbeat",
    "queue": "default",
    "enabled": True,
    "every_seconds": 10.0,
    "at": None,
    "changed_by": None,
    "next_run": "2030-01-31T08:00:10Z",
    "last_run": _RUN,
    "last_ended": _RUN,
}


class Scaling(BaseModel):
    """Bounds of a pool that sizes itself, and what decided last. `by_hand`: an operator set other bounds."""

    min: int
    max: int
    because: str
    by_hand: bool


class WorkerDocument(BaseModel):
    """`size`: processes or threads that it has, of which `active` have a task. Stale: it has been silent for 30 s."""

    name: str
    state: str = Field(pattern="^(alive|stale)$")
    queues: list[QueueName]
    pool: str = Field(pattern="^(prefork|threads)$")
    size: int
    active: int
    processed: int
    resident_bytes: int
    scaling: Scaling | None
    started_at: datetime.datetime
    seen_at: datetime.datetime


class WorkerList(BaseModel):
    """All workers, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_WORKER]}]})

    data: list[WorkerDocument]


class TickDocument(BaseModel):
    """One tick. `task_id` is null where it needed no run, `finished_at` while it has not ended."""

    scheduled_at: datetime.datetime
    task_id: uuid.UUID | None
    sent_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    duration_ms: int | None
    result: dict[str, Any] | None
    error: str | None


class EntryDocument(BaseModel):
    """`at`: once a day, at that time of `CELERY_TIMEZONE`; else every so many seconds. `next_run` is null while it is
    switched off."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    entry: str
    does: str
    task: str
    queue: QueueName
    enabled: bool
    every_seconds: float
    at: str | None
    changed_by: str | None
    next_run: datetime.datetime | None
    last_run: TickDocument | None
    last_ended: TickDocument | None


class EntryList(BaseModel):
    """The whole schedule."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_ENTRY]}]})

    data: list[EntryDocument]


class EntryChange(BaseModel):
    """What is not named stays as it is. `every_seconds: null` gives the entry its own time again."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"enabled": True, "every_seconds": 60}]}
    )

    enabled: Annotated[bool, Field(strict=True)] = True
    every_seconds: Annotated[float, Field(ge=SHORTEST, le=LONGEST, strict=True)] | None = None
