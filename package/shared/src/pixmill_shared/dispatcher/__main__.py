"""The dispatcher's process: wait, publish, recover; wait longer while the broker or the database is down."""

import signal
import time
from types import FrameType
from typing import Any, Final

from kombu.exceptions import KombuError
from sqlalchemy.exc import SQLAlchemyError

from pixmill_shared.celery_app import app
from pixmill_shared.dispatcher import metrics
from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.wakeups import Wakeups
from pixmill_shared.observability.health import HealthServer, Pulse
from pixmill_shared.observability.logs import configure_logging, get_logger
from pixmill_shared.plumbing.processes import check_broker, serve_health
from pixmill_shared.runtime import Runtime, start_runtime
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.process import ListenSettings

log = get_logger(__name__)

FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 5.0
"""Seconds between tries while the broker or the database is down: short, so that catching up begins at once."""


FIRST_LOOK: Final = 0.02
"""Seconds after which a pass that published is followed by another one, and twice as many after each that found
nothing, up to the poll: a claim makes room in the window and notifies nobody."""
SETTLE: Final = 0.01
"""Seconds from one pass to the next while there is work: what is committed within them is published together."""
RECOVERY_SHARE: Final = 0.1
"""At most, of the time: the recovery looks at what passes do not, which costs more while an old snapshot is held."""
TRIM_EVERY: Final = 60.0
"""Seconds."""


class Loop:
    """Runs until ``stop()``. Of two side by side, one at a time publishes into a queue."""

    def __init__(self, runtime: Runtime, wakeups: Wakeups, pulse: Pulse) -> None:
        self._dispatcher = Dispatcher(runtime, app)
        transport = app.connection_for_write()
        self._passing: tuple[type[BaseException], ...] = (
            KombuError,
            OSError,
            SQLAlchemyError,
            *transport.connection_errors,
            *transport.channel_errors,
        )
        self._wakeups = wakeups
        self._pulse = pulse
        self._poll = runtime.work.poll
        self._failures = 0
        self._recover_at = self._trim_at = float("-inf")
        self._look_after = self._poll
        self._running = True

    def stop(self) -> None:
        self._running = False
        self._wakeups.interrupt()

    def run(self) -> None:
        while self._running:
            self._pulse.tick()
            self._pause()
            self._pulse.tick()
            if self._running:
                self._once()

    def _pause(self) -> None:
        if self._failures:
            self._wakeups.pause(self._backoff())
            return
        if self._look_after == FIRST_LOOK:
            self._wakeups.pause(SETTLE)
        self._wakeups.wait(self._look_after)

    def _backoff(self) -> float:
        # The exponent is bounded too: a night without a broker would overflow it.
        return min(FIRST_BACKOFF * 2.0 ** min(self._failures - 1, 10), LONGEST_BACKOFF)

    def _once(self) -> None:
        try:
            self._recover_in_time()
            published = self._dispatcher.pass_over()
        except self._passing as error:
            self._failures += 1
            log.warning("cannot dispatch, waiting", error=type(error).__name__, failures=self._failures)
            if not isinstance(error, SQLAlchemyError):
                metrics.BROKER_UP.set(0)
                self._dispatcher.disconnect()
        else:
            self._failures = 0
            self._look_after = FIRST_LOOK if published else min(2 * self._look_after, self._poll)
            metrics.BROKER_UP.set(1)

    def _recover_in_time(self) -> None:
        begun = time.monotonic()
        if begun >= self._recover_at:
            self._dispatcher.recover()
            ended = time.monotonic()
            self._recover_at = begun + max(self._poll, (ended - begun) / RECOVERY_SHARE)
        if begun >= self._trim_at:
            self._dispatcher.trim()
            self._trim_at = begun + TRIM_EVERY


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logging("dispatcher")
    runtime, listen = start_runtime(), ListenSettings.load()
    # A wrong value is reported now, not at the first message.
    database, _, _ = runtime.database, runtime.work, BrokerSettings.load()
    pulse, wakeups = Pulse(), Wakeups(database.url)
    loop = Loop(runtime, wakeups, pulse)

    def _stop(_signal: int, _frame: FrameType | None) -> Any:
        loop.stop()

    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    checks = {"database": database.ping, "broker": lambda: check_broker(app)}
    serve_health(HealthServer(pulse, checks, listen))
    log.info("dispatcher started", window=runtime.work.window)
    loop.run()
    wakeups.close()


if __name__ == "__main__":
    main()
