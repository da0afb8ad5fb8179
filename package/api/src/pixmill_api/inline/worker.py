"""The loop in the API's process: the dispatcher's own, whose outlet are places to work in."""

import threading
import time
from collections.abc import Callable
from typing import Final

from pixmill_api import metrics
from pixmill_api.inline.broker_watch import BrokerWatch
from pixmill_api.inline.chores import Chores
from pixmill_api.inline.crew import Crew
from pixmill_api.settings.inline import InlineSettings
from pixmill_shared.celery_app import app as celery
from pixmill_shared.dispatcher.loop import Loop
from pixmill_shared.dispatcher.wakeups import Wakeups
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.observability.health import STALE_AFTER, Pulse
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.inline import InlineServices, load_services
from pixmill_shared.plumbing.leases import HAND_BACK
from pixmill_shared.plumbing.processes import check_broker
from pixmill_shared.settings.base import check_together
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.work import ShutdownSettings, TaskLimitSettings, WorkSettings

log = get_logger(__name__)

NEEDED: Final = ("imaging", "notifier")
"""Entry points that do the work."""

REST: Final = 6.0
"""Seconds that an end may take besides: a database that is away must not keep the process."""

AFTER_ERROR: Final = 5.0
"""Seconds until a loop that ended by an error begins again."""


def check_inline(settings: InlineSettings) -> InlineServices:
    """What does the work. Raises ConfigurationError if that is not installed, or set up wrongly."""
    services = load_services()
    if any(name not in services.found for name in NEEDED):
        variable = "ASYNC_IMAGE_ENABLED=false" if settings.always else "PIXMILL_INLINE_FALLBACK=true"
        raise ConfigurationError(
            f"{variable} lets this process do the work itself, and what does it is not installed. "
            "Run: pip install 'pixmill-api[inline]'"
        )
    checks = [check for service in services.found.values() for check in service.checks]
    check_together([WorkSettings.load, TaskLimitSettings.load, ShutdownSettings.load, *checks])
    return services


def inline_worker(settings: InlineSettings) -> "InlineWorker | None":
    """None where it is not wanted. Raises ConfigurationError."""
    return InlineWorker(settings, lambda: check_broker(celery)) if settings.wanted else None


class InlineWorker:
    """Works from ``start()`` to ``stop()``; with ``broker`` only while that is gone, and then on what is small.

    ``broker`` raises unless the broker answers. Raises ConfigurationError.
    """

    def __init__(self, settings: InlineSettings, broker: Callable[[], None]) -> None:
        self._settings = settings
        self._services = check_inline(settings)
        self._grace = ShutdownSettings.load().timeout
        self._pulse = Pulse()
        self._stopping = threading.Event()
        self._until = 0.0
        self._loop: Loop | None = None
        self._crew: Crew | None = None
        self._wakeups = Wakeups(DatabaseSettings.load().url)
        self._watch = None if settings.always else BrokerWatch(broker, settings.after, self._leave)
        self._chores = Chores(self._services.in_threads) if settings.always else None
        self._thread = threading.Thread(target=self._run, name="inline", daemon=True)

    def start(self) -> None:
        self._thread.start()
        for companion in (self._watch, self._chores):
            if companion is not None:
                companion.start()

    def begin_stop(self) -> None:
        """Take nothing any more; safe in a signal handler. The grace of what runs begins now."""
        if not self._stopping.is_set():
            self._until = time.monotonic() + self._grace
            self._stopping.set()
            self._leave()

    def stop(self) -> None:
        """Blocks until what runs has ended, or was handed back after PIXMILL_SHUTDOWN_TIMEOUT."""
        self.begin_stop()
        for companion in (self._watch, self._chores):
            if companion is not None:
                companion.stop()
        self._thread.join(max(self._until - time.monotonic(), 0) + HAND_BACK + REST)
        if self._thread.is_alive():
            log.warning("ending without waiting any longer")
        else:
            self._wakeups.close()

    def check(self) -> None:
        """Raise if nobody works any more. For the probe of readiness."""
        if not self._thread.is_alive() or (self._settings.always and self._pulse.age > STALE_AFTER):
            raise RuntimeError("the loop that works inline does not run")

    def _leave(self) -> None:
        if (loop := self._loop) is not None:
            loop.stop()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # So often that an end is not waited for: what sets ``gone`` does not know of ends.
            if self._watch is not None and not self._watch.gone.wait(0.2):
                continue
            try:
                self._take_over()
            except Exception:
                # The thread's boundary: without it nobody would work until the process is started again.
                log.exception("unexpected error of the inline loop")
                self._stopping.wait(AFTER_ERROR)
        if self._crew is not None:
            self._crew.close(self._until)

    def _take_over(self) -> None:
        if self._crew is None:
            self._crew = Crew(self._settings, self._services)
        metrics.INLINE_ACTIVE.set(1)
        log.info("working inline", concurrency=self._settings.concurrency)
        try:
            self._loop = Loop(self._crew.dispatcher, self._wakeups, self._pulse, self._crew.runtime.work.poll)
            if self._wanted():
                self._loop.run()
        finally:
            self._loop = None
            self._wakeups.rest()
            metrics.INLINE_ACTIVE.set(0)

    def _wanted(self) -> bool:
        """Asked after ``_loop`` is there: an end or a broker that came before would not have stopped it."""
        return not self._stopping.is_set() and (self._watch is None or self._watch.gone.is_set())
