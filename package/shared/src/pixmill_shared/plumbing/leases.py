"""What a worker is working on, as its requests tell, and the keeper of its leases."""

import contextlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery import bootsteps

from pixmill_shared.contract.requests import REQUEST_HEADER
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.generation import MOST_ITEMS, time_limit
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories.leases import CHUNKS, DELIVERIES, JOBS, MESSAGES, REQUESTS
from pixmill_shared.runtime import runtime
from pixmill_shared.service.leases import LeaseKeeper, Loss, Work
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.work import TaskLimitSettings, WorkSettings

log = get_logger(__name__)

#: The rows that tasks claim, and the argument that names one.
_CLAIMS: Final = {
    TaskName.FETCH_SOURCE.value: (JOBS, "job_id"),
    TaskName.RENDER_JOB.value: (JOBS, "job_id"),
    TaskName.GENERATE_CHUNK.value: (CHUNKS, "chunk_id"),
    TaskName.DELIVER_WEBHOOK.value: (DELIVERIES, "delivery_id"),
    TaskName.SEND_MESSAGE.value: (MESSAGES, "message_id"),
}

HAND_BACK: Final = 3.0
"""Seconds for handing claims back: a database that is away must not keep a worker from ending."""
_REAP: Final = 0.5
"""Seconds between two looks for children that died; Celery's own are 5 apart."""

_keeper: LeaseKeeper | None = None
_running: dict[str, Any] = {}


def work_of(request: Any) -> Work | None:
    """The row that a request of Celery's is for, if its task claims one."""
    if request.request_dict.get(REQUEST_HEADER):
        return _requested(request)
    return work_named(request.name, request.kwargs)


def work_named(task: str, arguments: Mapping[str, Any]) -> Work | None:
    """The row that a task of that name claims, if it claims one."""
    leases, argument = _CLAIMS.get(task, (None, ""))
    if leases is None:
        return None
    longest = longest_chunk(WorkSettings.load()) if leases is CHUNKS else 0.0
    try:
        return Work(leases, uuid.UUID(arguments[argument]), longest)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None  # somebody else's message; the task will say so


def longest_chunk(settings: WorkSettings) -> float:
    """Seconds that a chunk may be worked on: it waits for a provider, again and again, for as long as its job may take.
    The dispatcher ends that, and knows how many items it has; here it may have as many as any.
    """
    return time_limit(settings.image_job_timeout, MOST_ITEMS)


def claims_row(task: str) -> bool:
    """Of tasks that are never asked for or sent by beat: a row says what became of each."""
    return task in _CLAIMS


def _requested(request: Any) -> Work | None:
    """A task that somebody asked for. It may run longer than those of jobs do, and says how long."""
    with contextlib.suppress(ValueError):
        return Work(REQUESTS, uuid.UUID(request.id), longest=request.task.time_limit or 0)
    return None


def began(request: Any) -> None:
    """A child or thread has taken it."""
    _running[request.id] = request
    work = work_of(request)
    if _keeper is not None and work is not None:
        _keeper.add(request.id, work)


def ended(request: Any) -> None:
    """The task returned: it has ended its claim, or never had one."""
    _running.pop(request.id, None)
    if _keeper is not None:
        _keeper.remove(request.id)


def failed(request: Any, error: BaseException | None) -> None:
    """What a task raises is what could not be recorded; anything else was done to it."""
    _running.pop(request.id, None)
    if _keeper is None:
        return
    if isinstance(error, TimeLimitExceeded):
        _keeper.lose(request.id, Loss.TIME_LIMIT)
    elif isinstance(error, WorkerLostError | Terminated) or not isinstance(error, Exception):
        _keeper.lose(request.id, Loss.DIED)
    else:
        _keeper.lose(request.id, Loss.UNRECORDED)


def running() -> list[Any]:
    """The requests that children or threads work on, of tasks with claims and without."""
    return list(_running.values())


def unpublish(requests: Iterable[Any]) -> None:
    """Nobody here will work on them: others may, before their messages are back at the broker."""
    if _keeper is not None:
        _keeper.unpublish([work for request in requests if (work := work_of(request)) is not None])


def hand_back(timeout: float = HAND_BACK) -> None:
    """All claims of this worker, as if they had not been made."""
    if _keeper is not None and not _keeper.hand_back(timeout):
        log.warning("claims could not be handed back, their leases run out")


class LeaseStep(bootsteps.StartStopStep):
    """Keeps the leases in the worker's main process: a child may hold its interpreter for longer than a lease."""

    # After the pool: its first children inherit neither the thread nor its connection.
    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def start(self, worker: Any) -> None:
        global _keeper  # noqa: PLW0603 - one per process, as the requests that it is told of
        settings = DatabaseSettings.load()
        database = Database(settings.url, pool_size=1, max_overflow=1, statement_timeout=settings.statement_timeout)
        work, limits = WorkSettings.load(), TaskLimitSettings.load()
        _keeper = LeaseKeeper(database, runtime().worker_name, work, longest=limits.hard + work.lease)
        _keeper.start()
        worker.timer.call_repeatedly(_REAP, worker.pool.maintain_pool)
