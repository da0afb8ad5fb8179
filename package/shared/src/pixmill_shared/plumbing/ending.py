"""How a worker ends: what runs may end, within bounds; the rest is handed back, so that others do it at once."""

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from celery import bootsteps, signals
from celery.worker import state

from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing import leases
from pixmill_shared.settings.work import ShutdownSettings

log = get_logger(__name__)

REST: Final = 6.0
"""Seconds for what comes then: children are joined, connections closed, messages go back to the broker."""
_LOOK: Final = 0.1


class EndingStep(bootsteps.StartStopStep):
    """From SIGTERM to the end of the process.

    Celery's warm shutdown waits for its tasks, however long they take. Its cold one waits as long for tasks that have
    ended, for it looks at nothing meanwhile, and cannot end threads. So every end is begun warm, and what is left after
    PIXMILL_SHUTDOWN_TIMEOUT is ended from here.
    """

    # Stopped before the pool, whose own end waits for its threads.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._worker = worker
        self._timeout = ShutdownSettings.load().timeout
        self._begun = threading.Event()
        self._over = threading.Event()

    def start(self, _worker: Any) -> None:
        signals.worker_shutting_down.connect(self._begin, weak=False)
        signals.worker_shutdown.connect(self._finish, weak=False)

    def stop(self, worker: Any) -> None:
        if _has_threads(worker.pool) and self._begun.is_set():
            self._over.wait(self._timeout + leases.HAND_BACK)
            abandon_threads(worker.pool)

    def _begin(self, exitcode: int = 0, **_: Any) -> None:
        """In a signal handler: it starts a thread and returns. Once, however many signals come."""
        if not self._begun.is_set():
            self._begun.set()
            threading.Thread(target=self._end, args=(exitcode,), name="ending", daemon=True).start()

    def _finish(self, sender: Any, **_: Any) -> None:
        """Everything has been stopped. The interpreter's own end would free what the kernel frees anyway, a second of
        CPU, and wait for threads that were abandoned. A restart by SIGHUP needs it: that does not begin here.
        """
        if self._begun.is_set():
            _exit(int(sender.exitcode or 0))

    def _end(self, exitcode: int) -> None:
        until = time.monotonic() + self._timeout
        at_work = {request.id for request in leases.running()}
        leases.unpublish(request for key, request in list(state.requests.items()) if key not in at_work)
        while leases.running() and time.monotonic() < until:
            time.sleep(_LOOK)
        left = leases.running()
        if left:
            log.warning("ending with unfinished work, handing it back", tasks=len(left))
            leases.hand_back()
            if not _has_threads(self._worker.pool):
                _kill_children(left)
        self._over.set()
        time.sleep(REST)
        log.warning("ending without waiting any longer")
        _exit(exitcode)


def abandon_threads(pool: Any) -> None:
    """A thread cannot be killed: the pool is given others to wait for, which have never begun.

    Whatever it writes from now on is fenced. Of another pool: nothing.
    """
    if _has_threads(pool) and leases.running():
        abandoned, pool.executor = pool.executor, ThreadPoolExecutor(1)
        abandoned.shutdown(wait=False, cancel_futures=True)


def _has_threads(pool: Any) -> bool:
    return isinstance(getattr(pool, "executor", None), ThreadPoolExecutor)


def _kill_children(left: list[Any]) -> None:
    for pid in {request.worker_pid for request in left} - {None, os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _exit(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
