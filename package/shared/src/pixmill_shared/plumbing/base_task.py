"""The base of all tasks: one that somebody asked for claims its row, runs, and ends its claim as all work does.

What beat sends has no such row: how it ends is recorded. Tasks of jobs, deliveries and messages, of which there are
many, have rows that say what became of them, and run as they are. Maintenance is done by one at a time.
"""

import json
import uuid
from typing import Any, Final

import structlog
from celery import Task

from pixmill_shared.contract.queues import Priority, QueueName
from pixmill_shared.contract.requests import REQUEST_HEADER, requestable
from pixmill_shared.database.maintenance_lock import alone_at_maintenance
from pixmill_shared.domain.failures import storable
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.leases import claims_row
from pixmill_shared.plumbing.recorded import TICK_HEADER, NotNow, outcome_of, run_of, run_recorded, tick_of
from pixmill_shared.plumbing.stages import failure_of
from pixmill_shared.plumbing.ticked import run_ticked
from pixmill_shared.repositories import task_requests
from pixmill_shared.runtime import Runtime, runtime
from pixmill_shared.service.failures import record_task_failure

log = get_logger(__name__)

MOST_RESULT: Final = 65_536
"""Bytes of JSON that are kept of what a task returns."""

ONE_AT_A_TIME: Final = 2.0
"""Seconds until maintenance that found other maintenance under way is tried again."""


class RequestableTask(Task):  # type: ignore[type-arg]
    """What a worker calls for a message."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.get(REQUEST_HEADER):
            _run_requested(runtime(), self, uuid.UUID(self.request.id))
            return None
        clients = runtime()
        entry, scheduled_at = tick_of(self.request.get(TICK_HEADER))
        info = self.request.get("delivery_info")
        run = None if claims_row(self.name) else run_of(self.name, self.request.id, info, entry, clients.worker_name)
        if run is None:
            return self._run_alone(*args, **kwargs)
        if entry is None or scheduled_at is None:
            return outcome_of(run_recorded(clients, run, None, lambda: bounded(self._run_alone(*args, **kwargs))))
        return run_ticked(clients, run, entry, scheduled_at, lambda: bounded(self._run_alone(*args, **kwargs)))

    def _run_alone(self, *args: Any, **kwargs: Any) -> Any:
        if not _is_maintenance(self.name):
            return self.run(*args, **kwargs)
        with alone_at_maintenance(runtime().database.url) as alone:
            if not alone:
                log.warning("other maintenance is under way, leaving this to the next tick")
                raise NotNow("other maintenance was under way")
            return self.run(*args, **kwargs)


def bounded(result: object) -> dict[str, Any] | None:
    """What is kept of a result, as JSON: all of it, or how much it was."""
    if result is None:
        return None
    written = storable(json.dumps(result, default=str).replace("\\u0000", "\\ufffd"))
    if len(written.encode()) > MOST_RESULT:
        return {"truncated": True, "bytes": len(written.encode())}
    found = json.loads(written)
    return found if isinstance(found, dict) else {"value": found}


def _run_requested(clients: Runtime, task: Any, request_id: uuid.UUID) -> None:
    """Returns silently if the row is not to be had. Raises DatabaseUnavailable, as a stage of a job does."""
    if not _is_maintenance(task.name):
        _claim_and_run(clients, task, request_id)
        return
    with alone_at_maintenance(clients.database.url) as alone:
        if alone:
            _claim_and_run(clients, task, request_id)
        else:
            with clients.database.session_scope() as session:
                task_requests.put_off(session, request_id, ONE_AT_A_TIME)


def _claim_and_run(clients: Runtime, task: Any, request_id: uuid.UUID) -> None:
    with clients.database.session_scope() as session:
        claimed = task_requests.claim(session, request_id, clients.worker_name, clients.work.lease)
    if claimed is None:
        return
    failpoint("request.claimed", claimed.id)
    structlog.contextvars.bind_contextvars(attempt=claimed.attempts, request_id=claimed.request_id)
    results: list[object] = []
    failure = failure_of(lambda: results.append(task.run(**claimed.payload)))
    if results:
        failpoint("request.done", claimed.id)
        with clients.database.session_scope() as session:
            if not task_requests.finish(session, claimed, bounded(results[0])):
                log.warning("claim lost, result dropped")
    elif failure is not None:
        with clients.database.session_scope() as session:
            outcome = record_task_failure(session, claimed, failure, settings=clients.work)
        log.warning("task failed", code=failure.code, detail=failure.detail, outcome=outcome)


def _is_maintenance(name: str) -> bool:
    known = requestable(name)
    return known is not None and known.queue(Priority.NORMAL) == QueueName.MAINTENANCE
