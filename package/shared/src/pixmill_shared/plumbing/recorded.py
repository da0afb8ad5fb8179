"""A task that has no row of its own: what beat sends, or a person by hand. How it ends is recorded, and what fails in
passing is tried again in its place (``domain/retries.py`` says why there).
"""

import datetime
import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.requests import REQUEST_HEADER
from pixmill_shared.database.engine import DatabaseUnavailable
from pixmill_shared.domain.retries import in_place
from pixmill_shared.errors import OutageError, TransientError, WorkError
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing import leases
from pixmill_shared.plumbing.letterbox import letterbox
from pixmill_shared.plumbing.stages import failure_of
from pixmill_shared.repositories.task_records import TaskRun
from pixmill_shared.runtime import Runtime, runtime
from pixmill_shared.service.task_ends import TaskEnd, TaskLoss, record_end

log = get_logger(__name__)

TICK_HEADER: Final = "beat_tick"
"""Of a message that beat sent: which tick of which entry it is."""

Body = Callable[[], dict[str, Any] | None]


class NotNow(Exception):
    """Of a task that cannot run at this time: its tick counts as not done, and nothing is recorded."""


@dataclass(frozen=True)
class _Try:
    result: dict[str, Any] | None = None
    failure: WorkError | None = None
    raised: Exception | None = None


def run_recorded(clients: Runtime, run: TaskRun, scheduled_at: datetime.datetime | None, body: Body) -> _Try:
    """Until it is done or has failed, which has been recorded then. Raises NotNow, and DatabaseUnavailable if the end
    could not be recorded.
    """
    begun, last, pause, attempts = time.monotonic(), _Try(), 0.0, 0
    for attempts in itertools.count(1):
        structlog.contextvars.bind_contextvars(attempt=attempts)
        last = _tried(body, pause)
        again = _pause_after(clients, last, attempts)
        if again is None:
            break
        pause = again
    seconds = time.monotonic() - begun
    with clients.database.session_scope() as session:
        record_end(session, TaskEnd(run, scheduled_at, attempts, seconds, last.result, last.failure, last.raised))
    if last.failure is None:
        log.info("task done", ms=round(seconds * 1000))
    else:
        log.warning("task failed", code=last.failure.code, detail=last.failure.detail, ms=round(seconds * 1000))
    return last


def outcome_of(last: _Try) -> dict[str, Any] | None:
    """For Celery, which keeps results for an hour: what the task returned. Raises what it raised."""
    if last.raised is not None:
        raise last.raised
    return last.result


def lost(request: Any, error: BaseException | None) -> None:
    """In the main process: the child that worked on a request of Celery's was killed, and could record nothing."""
    headers = request.request_dict
    known = isinstance(error, TimeLimitExceeded | WorkerLostError | Terminated)
    if not known or headers.get(REQUEST_HEADER) or leases.claims_row(request.name):
        return
    entry, scheduled_at = tick_of(headers.get(TICK_HEADER))
    run = run_of(request.name, request.id, request.delivery_info, entry, runtime().worker_name)
    if run is not None:
        seconds = time.monotonic() - request.time_start if request.time_start else 0.0
        letterbox.post(TaskLoss(run, scheduled_at, max(seconds, 0.0), isinstance(error, TimeLimitExceeded)))


def run_of(
    task: str, task_id: object, delivery_info: Mapping[str, Any] | None, entry: str | None, worker: str
) -> TaskRun | None:
    """None: its id is none that a row could have, so that somebody's own program sent it."""
    try:
        found = uuid.UUID(str(task_id))
    except ValueError:
        return None
    queue = (delivery_info or {}).get("routing_key")
    return TaskRun(found, task, entry, str(queue) if queue else None, worker)


def tick_of(header: Mapping[str, str] | None) -> tuple[str | None, datetime.datetime | None]:
    """The entry, and the time that the tick is of."""
    return (header["entry"], datetime.datetime.fromisoformat(header["at"])) if header else (None, None)


def _tried(body: Body, pause: float) -> _Try:
    results: list[dict[str, Any] | None] = []
    left_out: list[NotNow] = []
    raised: list[Exception] = []

    def work() -> None:
        try:
            # Inside, so that a time limit ends the waiting as it ends the work.
            time.sleep(pause)
            results.append(body())
        except NotNow as why:
            left_out.append(why)
        except Exception as error:
            raised.append(error)
            raise

    try:
        failure = failure_of(work)
    except DatabaseUnavailable:
        failure = OutageError(ErrorCode.INTERNAL_ERROR, "The database did not answer.")
    if left_out:
        raise left_out[0]
    return _Try(results[0] if results else None, failure, raised[0] if raised and failure is not None else None)


def _pause_after(clients: Runtime, last: _Try, attempts: int) -> float | None:
    if last.failure is None:
        return None
    pause = in_place(transient=isinstance(last.failure, TransientError), attempts=attempts, rng=clients.rng)
    if pause is not None:
        log.warning("task failed, trying again", code=last.failure.code, detail=last.failure.detail, after=pause)
    return pause
