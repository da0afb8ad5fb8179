"""A worker that looks for its broker is alive: Celery does so outside its event loop, where no timer ticks."""

from typing import Any, Final

from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

from pixmill_shared.observability.health import Pulse
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing import leases
from pixmill_shared.plumbing.ending import abandon_threads

log = get_logger(__name__)

worker_pulse: Final = Pulse()
"""Of this worker's main process."""

LONGEST_WAIT: Final = 5
"""Seconds between two tries to connect; Celery's own 30 would leave a worker idle long after its broker is back."""


class PatientConsumer(Consumer):
    """Celery's, but for how it connects: it ticks, and looks again soon. And what it cancels, others do at once."""

    def ensure_connected(self, conn: Any) -> Any:
        def waiting() -> None:
            worker_pulse.tick()
            maybe_shutdown()

        def failed(error: Exception, interval: float) -> None:
            log.error("no connection to the broker", broker=conn.as_uri(), error=str(error), next_try=interval)

        waiting()
        connected = conn.ensure_connection(
            failed, None, interval_start=1, interval_step=1, interval_max=LONGEST_WAIT, callback=waiting
        )
        self.first_connection_attempt = False
        return connected

    def cancel_active_requests(self) -> None:
        """Of a cold shutdown."""
        leases.hand_back()
        if getattr(self.pool, "executor", None) is None:
            super().cancel_active_requests()
        else:
            abandon_threads(self.pool)
