"""Server-sent events: a job, a batch, or all of a project, watched while it happens."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Security
from starlette.requests import HTTPConnection
from starlette.responses import Response

from pixmill_api.auth import Bearer, Reading, Shared
from pixmill_api.openapi import Responses, problems_of
from pixmill_api.progress.opening import (
    Opened,
    hub_of,
    last_event_id_of,
    open_batch,
    open_job,
    open_project,
    project_of,
    settings_of,
)
from pixmill_api.progress.sse import MEDIA_TYPE, EventStream
from pixmill_api.routes import BASE
from pixmill_shared.contract.scopes import Scope

router = APIRouter()

Expires = Annotated[str | None, Query(pattern=r"^[0-9]{1,12}$", description="of a signed address, see `urls.events`")]
Signature = Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="of a signed address")]
LastEventId = Annotated[
    str | None,
    Query(max_length=100, description="as `Last-Event-ID`, for clients that cannot set headers", examples=["3"]),
]
LastEventIdHeader = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="the last id that came: what happened since is sent, and no snapshot"),
]

_EXAMPLE: Final = """retry: 2000

id: 0
event: snapshot
data: {"job_id":"01890a5d-ac96-774b-bcce-b302099a8057","status":"processing","progress":0}

event: job.progress
data: {"job_id":"01890a5d-ac96-774b-bcce-b302099a8057","status":"processing","stage":"render","progress":40}

id: 1
event: job.output
data: {"job_id":"01890a5d-ac96-774b-bcce-b302099a8057","output":{"name":"web"}}

id: 2
event: job.completed
data: {"job_id":"01890a5d-ac96-774b-bcce-b302099a8057","status":"completed","progress":100}

"""
_EVENT: Final = {
    "type": "object",
    "required": ["data"],
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
_STREAM: Final[Responses] = {
    200: {
        "description": "Events, as the HTML standard describes them",
        # The schema is that of one event.
        "content": {MEDIA_TYPE: {"schema": _EVENT, "example": _EXAMPLE}},
    }
}
_OVER: Final[Responses] = {204: {"description": "The last event is the one that the client has: do not connect again"}}


class _Watching(Bearer):
    """An API key that may read, or a signed address."""

    def __init__(self, kind: str) -> None:
        super().__init__(Scope.READ)
        self._kind = kind

    async def __call__(  # type: ignore[override] # what FastAPI reads parameters from
        self, connection: HTTPConnection, expires: Expires = None, signature: Signature = None
    ) -> str | None:
        (id,) = connection.path_params.values()
        return await project_of(connection, self._kind, id)


def _watching(kind: str) -> Any:
    return Security(_Watching(kind), scopes=[str(Scope.READ)])


@router.get(
    f"{BASE}/jobs/{{job_id}}/events",
    tags=["jobs"],
    summary="Watch a job",
    responses={**_STREAM, **_OVER, **problems_of(401, 403, 404, 503)},
)
async def watch_job(
    request: Request,
    job_id: str,
    context: Shared,
    project: Annotated[str | None, _watching("jobs")],
    last_event_id: LastEventId = None,
    last_event_id_header: LastEventIdHeader = None,
) -> Response:
    """`snapshot` first, with the whole job; then `job.progress`, `job.output`, and at the end `job.completed`,
    `job.failed` or `job.canceled` with the whole job again, whereupon the stream ends.

    Of a job that generates pictures each `job.output` comes when its item is finished, and a `job.progress` with an id
    when a chunk is.
    """
    return _answer(request, await open_job(hub_of(request), project, job_id, last_event_id_of(request)))


@router.get(
    f"{BASE}/batches/{{batch_id}}/events",
    tags=["batches"],
    summary="Watch a batch",
    responses={**_STREAM, **_OVER, **problems_of(401, 403, 404, 503)},
)
async def watch_batch(
    request: Request,
    batch_id: str,
    context: Shared,
    project: Annotated[str | None, _watching("batches")],
    last_event_id: LastEventId = None,
    last_event_id_header: LastEventIdHeader = None,
) -> Response:
    """`snapshot` first, with the whole batch; then `batch.progress`, twice a second at most, and at the end
    `batch.completed` with the whole batch again.
    """
    return _answer(request, await open_batch(hub_of(request), project, batch_id, last_event_id_of(request)))


@router.get(
    f"{BASE}/events",
    tags=["events"],
    summary="Watch a project",
    responses={**_STREAM, **problems_of(401, 503)},
)
async def watch_project(
    request: Request,
    context: Shared,
    caller: Reading,
    last_event_id: LastEventId = None,
    last_event_id_header: LastEventIdHeader = None,
) -> Response:
    """How each job ends, and of jobs that generate each picture. An event comes at least once, and its id is always the
    same.

    With `Last-Event-ID` up to 1,000 events come again that happened since; where there were more, `gap` comes first.
    """
    return _answer(request, await open_project(hub_of(request), caller.project, last_event_id_of(request)))


def _answer(request: Request, opened: Opened) -> Response:
    if opened.stream.over:
        opened.held.close()
        return Response(status_code=204)
    return EventStream(opened.stream, opened.viewer, opened.held, hub_of(request), settings_of(request))
