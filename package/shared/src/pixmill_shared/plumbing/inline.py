"""Work outside of a worker: what the packages let another process do in its own, and how a task is run there.

A package names an ``InlineService`` in the entry-point group ``pixmill.inline``. Its tasks are those that its workers
run, and so are what they call, claim and record.
"""

import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from types import FrameType
from typing import Any, Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from pixmill_shared.contract.requests import REQUEST_HEADER
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.leases import work_named
from pixmill_shared.repositories.leases import REQUESTS
from pixmill_shared.service.leases import Work

log = get_logger(__name__)

ENTRY_POINTS: Final = "pixmill.inline"


@dataclass(frozen=True)
class MemoryBounds:
    """KiB: of resident memory at the peak, after which a child is replaced; of address space, 0 for no bound."""

    most: int
    limit: int


def _nothing() -> None:
    """Of a package that needs no preparation."""


@dataclass(frozen=True)
class InlineService:
    """What a package can do outside of its workers.

    ``threads`` are tasks that wait for others; ``children`` those that work on bytes which may take a process down:
    each of them runs in a child, which has called ``preload`` once. ``checks`` raise ConfigurationError.
    """

    threads: tuple[Any, ...] = ()
    children: tuple[Any, ...] = ()
    checks: tuple[Callable[[], object], ...] = ()
    preload: Callable[[], None] = _nothing
    memory: Callable[[], MemoryBounds] | None = None


@dataclass(frozen=True)
class InlineServices:
    """Those of the packages that are installed, by the names of their entry points."""

    found: Mapping[str, InlineService]

    @cached_property
    def in_threads(self) -> dict[str, Any]:
        """Celery's task by its name."""
        return {task.name: task for service in self.found.values() for task in service.threads}

    @cached_property
    def in_children(self) -> dict[str, Any]:
        """Celery's task by its name."""
        return {task.name: task for service in self.found.values() for task in service.children}


def load_services() -> InlineServices:
    """Import what the packages name."""
    return InlineServices({point.name: point.load() for point in entry_points(group=ENTRY_POINTS)})


def work_in(task: Any, payload: dict[str, Any], task_id: str | None) -> Work | None:
    """The row that the task will claim. ``task_id`` is that of a row which asks for the task itself."""
    if task_id is not None:
        return Work(REQUESTS, uuid.UUID(task_id), longest=task.time_limit or 0)
    return work_named(task.name, payload)


def run_task(task: Any, payload: dict[str, Any], task_id: str | None) -> bool:
    """As a worker calls it. False: it raised, so that how it ended could not be recorded."""
    name = task_id or str(uuid.uuid4())
    structlog.contextvars.bind_contextvars(task_id=name, task=task.name)
    task.push_request(id=name, **{REQUEST_HEADER: task_id is not None})
    try:
        task(**payload)
    except Exception:
        # The boundary that a worker has around each task.
        log.exception("task raised")
        return False
    finally:
        task.pop_request()
        structlog.contextvars.clear_contextvars()
    return True


@contextmanager
def soft_time_limit(seconds: float) -> Iterator[None]:
    """Raise in the block what a worker's soft limit raises; in the main thread of a process only."""

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise SoftTimeLimitExceeded(seconds)

    former = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
