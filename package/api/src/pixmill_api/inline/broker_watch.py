"""Is the broker down, and for how long? Asked beside everything else: a broker that hangs holds up nothing."""

import threading
import time
from collections.abc import Callable
from typing import Final

from pixmill_shared.observability.health import Readiness
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

SHORTEST: Final = 0.2
LONGEST: Final = 5.0
"""Seconds between two looks."""


class BrokerWatch:
    """``check`` raises unless the broker answers; ``back`` is called when it does again after it was ``gone``, which is
    once it has been down for ``after`` seconds.
    """

    def __init__(
        self,
        check: Callable[[], None],
        after: float,
        back: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gone = threading.Event()
        self._broker = Readiness({"broker": check})
        self._after = after
        self._back = back
        self._clock = clock
        self._every = min(max(after / 6, SHORTEST), LONGEST)
        self._down_since: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It takes part in nothing any more; not waited for, since it may be waiting for the broker."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._stopped.wait(self._every)

    def _look(self) -> None:
        up, _ = self._broker.ask()
        if up:
            self._down_since = None
            if self.gone.is_set():
                self.gone.clear()
                log.info("broker is back, leaving the work to workers")
                self._back()
            return
        if self._down_since is None:
            # From the end of the look on: where the machine stood still, one that fails may have lasted for any time.
            self._down_since = self._clock()
        if self._clock() - self._down_since >= self._after and not self.gone.is_set():
            log.warning("broker is down, doing small work here", seconds=round(self._after))
            self.gone.set()
