"""The dispatcher's loop: wait, publish, recover; wait longer while the outlet or the database is down."""

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.wakeups import Wakeups
from pixmill_shared.observability.health import Pulse
from pixmill_shared.observability.logs import get_logger

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


def _nobody(_up: bool) -> None:
    """Of a loop whose outlet nobody asks about."""


class Loop:
    """Runs until ``stop()``. Of two side by side, one at a time publishes into a queue.

    ``poll`` in seconds; ``told`` hears after each pass whether the outlet is there.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        wakeups: Wakeups,
        pulse: Pulse,
        poll: float,
        told: Callable[[bool], None] = _nobody,
    ) -> None:
        self._dispatcher = dispatcher
        self._wakeups = wakeups
        self._pulse = pulse
        self._poll = poll
        self._told = told
        self._passing: tuple[type[BaseException], ...] = (SQLAlchemyError, *dispatcher.outlet.errors)
        self._failures = 0
        self._recover_at = self._trim_at = float("-inf")
        self._look_after = self._poll
        self._running = True

    def stop(self) -> None:
        """Safe in a signal handler, also of a second signal: what it would wake may be closed by then."""
        if self._running:
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
                self._told(False)
                self._dispatcher.outlet.disconnect()
        else:
            self._failures = 0
            self._look_after = FIRST_LOOK if published else min(2 * self._look_after, self._poll)
            self._told(True)

    def _recover_in_time(self) -> None:
        begun = time.monotonic()
        if begun >= self._recover_at:
            self._dispatcher.recover()
            ended = time.monotonic()
            self._recover_at = begun + max(self._poll, (ended - begun) / RECOVERY_SHARE)
        if begun >= self._trim_at:
            self._dispatcher.trim()
            self._trim_at = begun + TRIM_EVERY
