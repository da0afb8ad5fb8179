"""Archives that are built once, as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from pixmill_api.task_schemas import TaskError, TaskState

_SELF: Final = "https://pixmill.example.com/api/v1/batches/0193e2a4-7c1b-7d00-8f6e-2b1c3d4e5f60/archive"
_EXAMPLE: Final[dict[str, Any]] = {
    "task_id": "0193e2a5-0d2c-7e11-9a7f-3c2d4e5f6071",
    "batch_id": "0193e2a4-7c1b-7d00-8f6e-2b1c3d4e5f60",
    "state": "succeeded",
    "url": "https://pixmill.example.com/files/archives/…",
    "files": 2_000,
    "bytes": 163_840_000,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "error": None,
    "created_at": "2030-01-31T08:00:00Z",
    "finished_at": "2030-01-31T08:00:04.210Z",
    "expires_at": "2030-02-01T08:00:04.210Z",
    "urls": {"self": _SELF},
}


class ArchiveDocument(BaseModel):
    """What is not known before it is built is null."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    task_id: uuid.UUID
    batch_id: uuid.UUID
    state: TaskState
    url: str | None = Field(description="signed; it ends after a while, and the next look has another one")
    files: int | None
    bytes: int | None
    sha256: str | None
    error: TaskError | None
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    expires_at: datetime.datetime | None = Field(description="when the archive is deleted (`PIXMILL_ARCHIVE_TTL`)")
    urls: dict[str, str]
