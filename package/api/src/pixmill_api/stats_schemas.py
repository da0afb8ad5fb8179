"""Figures and alerts as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from pixmill_shared.contract.alerts import AlertRule, AlertState
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.domain.jobs import JobStatus

_NOW: Final = "2030-01-31T08:00:00Z"


def _count(number: int) -> dict[str, Any]:
    return {"count": number, "more": False}


_SPAN: Final[dict[str, Any]] = {
    "since": "2030-01-31T00:00:00Z",
    "jobs": {status: _count(40 if status == "completed" else 0) for status in JobStatus},
}
_STATS: Final[dict[str, Any]] = {
    "at": _NOW,
    "today": _SPAN,
    "last_hour": _SPAN | {"since": "2030-01-31T07:00:00Z"},
    "recent": {
        "jobs": 1000,
        "since": "2030-01-30T21:14:00Z",
        "renditions_made": 2400,
        "renditions_reused": 600,
        "bytes_in": 4718592000,
        "bytes_out": 243702000,
        "duration_ms": {"p50": 180, "p95": 620},
    },
}
_QUEUE: Final[dict[str, Any]] = {
    "queue": "imaging",
    **dict.fromkeys(("ready", "published"), _count(12)),
    **dict.fromkeys(("delayed", "processing"), _count(0)),
    "oldest_seconds": 1.52,
}
_ALERT: Final[dict[str, Any]] = {
    "alert_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "rule": "queue_stalled",
    "title": "Work waits too long",
    "subject": "imaging",
    "state": "firing",
    "detail": "The oldest of 1,200 has waited for 12 minutes.",
    "value": 720.0,
    "started_at": _NOW,
    "seen_at": _NOW,
    "ended_at": None,
}


class BoundedCount(BaseModel):
    """`more`: there are more than that; nobody counts further."""

    count: int = Field(ge=0)
    more: bool


class Span(BaseModel):
    """Jobs that were made since then, by the status that they have now; each is counted up to 10,000."""

    since: datetime.datetime
    jobs: dict[JobStatus, BoundedCount]


class Durations(BaseModel):
    """From the first start of a job to its end, in milliseconds: half of the jobs, and 95 of 100, took no longer. Null
    if there is none."""

    p50: int | None
    p95: int | None


class RecentJobs(BaseModel):
    """The project's newest completed jobs, 1,000 at most, the oldest of which was made at `since`. Bytes of sources and
    of outputs, as far as they are known; outputs that existed already are reused."""

    jobs: int
    since: datetime.datetime | None
    renditions_made: int
    renditions_reused: int
    bytes_in: int
    bytes_out: int
    duration_ms: Durations


class StatsDocument(BaseModel):
    """`at`: when this was measured, some seconds ago at most. A day begins at midnight, UTC."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STATS]})

    at: datetime.datetime
    today: Span
    last_hour: Span
    recent: RecentJobs


class QueueDocument(BaseModel):
    """Rows of all projects: `ready` to be published, `published` and not begun, `delayed` until a time that is to come,
    and in work. Each is counted up to 1,000. `oldest_seconds`: since the oldest of those that wait was made, of the
    1,000 that come first if there are more."""

    queue: QueueName
    ready: BoundedCount
    published: BoundedCount
    delayed: BoundedCount
    processing: BoundedCount
    oldest_seconds: float | None


class QueueList(BaseModel):
    """All queues. `at`: when this was measured, some seconds ago at most."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"at": _NOW, "data": [_QUEUE]}]})

    at: datetime.datetime
    data: list[QueueDocument]


class AlertDocument(BaseModel):
    """One time that a rule was broken: a service, a queue or an endpoint, its `subject`, is not as it should be.

    `seen_at`: when that was found last. `value` is what was measured, null where nothing is."""

    alert_id: uuid.UUID
    rule: AlertRule
    title: str
    subject: str
    state: AlertState
    detail: str
    value: float | None
    started_at: datetime.datetime
    seen_at: datetime.datetime
    ended_at: datetime.datetime | None


class AlertList(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_ALERT], "next_cursor": None, "has_more": False}]}
    )

    data: list[AlertDocument]
    next_cursor: str | None
    has_more: bool
