"""Dead letters as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Any, Literal

from pydantic import BaseModel, Field

Kind = Literal["job", "delivery", "message", "task"]


class DeadLetterError(BaseModel):
    """The last error. `code` is that of a job, of a refused message, or null."""

    code: str | None
    title: str | None
    detail: str
    retryable: bool | None


class DeadLetterDocument(BaseModel):
    """Work that gave up, or what came from the broker and is no work (`kind` null)."""

    dead_letter_id: uuid.UUID
    task: str
    kind: Kind | None = Field(description="what a replay makes; null: it tells of no row, and cannot be replayed")
    payload: dict[str, Any] = Field(
        description="`job_id`, `delivery_id`, `message_id` or `task_request_id`; else what came, cut after 2,000 bytes"
    )
    error: DeadLetterError
    attempts: int
    traceback: str | None = Field(
        description="of the last attempt; with PIXMILL_AUTH=off only, as it names files of the server"
    )
    created_at: datetime.datetime
    replayed_at: datetime.datetime | None
    replayed_by: str | None
    replayed_as: uuid.UUID | None = Field(description="the job, delivery, message or task that the replay made")
    urls: dict[str, str | None] = Field(description="`self`, `replay` while it can be replayed, and `job`, else null")


class DeadLetterList(BaseModel):
    """Without tracebacks."""

    data: list[DeadLetterDocument]
    next_cursor: str | None
    has_more: bool


class Replay(BaseModel):
    dead_letter_id: uuid.UUID
    kind: Kind
    id: uuid.UUID = Field(description="of the new job, delivery, message or task")


class Replays(BaseModel):
    """`has_more`: letters are left that the same call would replay."""

    replayed: int
    has_more: bool
    data: list[Replay]
