"""The health of services as the OpenAPI document shows it."""

import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

_NOW: Final = "2030-01-31T08:00:00Z"
_SERVICE: Final[dict[str, Any]] = {
    "service": "imaging",
    "status": "unhealthy",
    "since": _NOW,
    "checked_at": "2030-01-31T08:05:00Z",
    "failures": 2,
    "status_code": 503,
    "response_ms": 12,
    "error": "not ready: broker",
}


class ServiceHealthDocument(BaseModel):
    """By the last check, of which there is one every five minutes; `unknown` if that is more than a quarter of an hour
    ago. `since`: it has the status since then; `failures`: checks that failed one after another. `status_code` is null
    where there was no answer by HTTP."""

    service: str
    status: str = Field(pattern="^(healthy|unhealthy|unknown)$")
    since: datetime.datetime
    checked_at: datetime.datetime
    failures: int = Field(ge=0)
    status_code: int | None
    response_ms: int | None
    error: str | None


class ServiceList(BaseModel):
    """All that was checked within a day, by name: services, `database`, `broker`, `storage`, and `heartbeat`, which is
    the chain of beat, broker, worker and database."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_SERVICE]}]})

    data: list[ServiceHealthDocument]
