"""Tasks that people start or that beat sent, as bodies of requests and as the OpenAPI document shows them."""

import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

_EXAMPLE: Final[dict[str, Any]] = {
    "task_id": "0193e2a4-7c1b-7d00-8f6e-2b1c3d4e5f60",
    "name": "pixmill_shared.tasks.maintenance.cleanup_old_data",
    "state": "succeeded",
    "priority": "normal",
    "queue": "maintenance",
    "args": {},
    "result": {
        "rows": {"jobs": 120, "idempotency_records": 12},
        "objects": {"looked_at": 4310, "deleted": 3, "bytes": 81234, "unfinished": 0},
        "unfinished": [],
    },
    "error": None,
    "requested_by": "ops (pxm_4Tq9)",
    "request_id": "01890a5d-ac96-774b-bcce-b302099a8058",
    "entry": None,
    "attempts": 1,
    "created_at": "2030-01-31T08:00:00Z",
    "started_at": "2030-01-31T08:00:00.012Z",
    "finished_at": "2030-01-31T08:00:02.480Z",
    "duration_ms": 2468,
    "urls": {"self": "https://pixmill.example.com/api/v1/tasks/0193e2a4-7c1b-7d00-8f6e-2b1c3d4e5f60"},
}


class TaskState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class TaskCall(BaseModel):
    """How a task is to be started; an empty body is the same as `{}`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"priority": "high", "args": {}}]})

    priority: Literal["high", "normal"] = Field(
        default="normal", description="`high` goes by a queue of its own where the task's queue is `default`"
    )
    args: dict[str, Any] = Field(default_factory=dict, description="by name, as the task takes them")


class TaskError(BaseModel):
    """Why the last attempt failed."""

    code: str | None
    title: str | None
    detail: str
    retryable: bool | None


class TaskDocument(BaseModel):
    """A task that somebody asked for, or that beat sent and that has ended; or a result that Celery has kept, of which
    only `name`, `state`, `result`, `error` and `finished_at` may be known."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    task_id: str
    name: str | None
    state: TaskState
    priority: Literal["high", "normal"] | None
    queue: str | None
    args: dict[str, Any]
    result: Any = Field(description="what the task returned, as JSON")
    error: TaskError | None
    requested_by: str | None = Field(description="null: nobody, beat sent it")
    request_id: str | None = Field(description="of the request that asked for it; it is in the lines of the log too")
    entry: str | None = Field(description="of the schedule, where beat sent it")
    attempts: int | None
    created_at: datetime.datetime | None
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    duration_ms: int | None = Field(description="from its first start to its end, tries in between included")
    urls: dict[str, str]


class TaskList(BaseModel):
    data: list[TaskDocument]
    next_cursor: str | None
    has_more: bool
