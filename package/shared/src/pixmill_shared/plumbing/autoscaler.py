"""The pool of a worker grows and shrinks with the work that waits: Celery's autoscaler with decisions of our own.

Celery's looks at messages that the worker has reserved, which are as many as it has processes: what waits is in
Postgres. It is measured by the ``Crew`` in a thread, and applied here, in the event loop.
"""

from dataclasses import replace
from typing import Any, Final

from celery.worker.autoscale import Autoscaler
from prometheus_client import Counter, Gauge

from pixmill_shared.domain.scaling import Load, Pool, Reason, decide
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.settings.scaling import ScalingSettings

log = get_logger(__name__)

_APPLY_EVERY: Final = 0.5
"""Seconds."""

PROCESSES: Final = Gauge("pixmill_pool_processes", "Processes of this worker's pool, if it sizes itself")
STEPS: Final = Counter("pixmill_pool_steps_total", "Times that the pool of this worker changed its size", ["reason"])


class BacklogAutoscaler(Autoscaler):
    """Named by ``worker_autoscaler``, and made by Celery for a worker with ``--autoscale``."""

    pool: Any

    def __init__(
        self,
        pool: Any,
        max_concurrency: int,
        min_concurrency: int = 0,
        worker: Any = None,
        keepalive: float = _APPLY_EVERY,
        mutex: Any = None,
    ) -> None:
        super().__init__(pool, max_concurrency, min_concurrency, worker, keepalive, mutex)
        self._own = replace(ScalingSettings.load().limits, least=min_concurrency, most=max_concurrency)
        self.limits = self._own
        self.reason = Reason.STEADY
        self._state = Pool(min_concurrency)
        self._load: Load | None = None

    def bound(self, least: int | None, most: int | None) -> None:
        """What an operator wants instead of the settings' bounds; None: those."""
        most = most or self._own.most
        self.limits = replace(self._own, least=min(least or self._own.least, most), most=most)

    def offer(self, load: Load) -> None:
        """The last measurement, from any thread."""
        self._load = load

    def maybe_scale(self, req: Any = None) -> None:
        """In the event loop, twice a second, and at each message, which changes nothing."""
        load, self._load = self._load, None
        if load is not None:
            self._apply(load)
        self._fit_prefetch()

    def info(self) -> dict[str, Any]:
        """For ``inspect stats``."""
        return {"max": self.limits.most, "min": self.limits.least, "current": self.processes, "reason": self.reason}

    def _apply(self, load: Load) -> None:
        size = self.processes
        wanted, reason = decide(replace(self._state, size=size), load, self.limits)
        changed = self._resized(size, wanted.size)
        # A process that could not be spared was not taken away: the next measurement decides anew.
        self._state = wanted if changed or wanted.size == size else replace(self._state, busy_at=wanted.busy_at)
        if changed:
            STEPS.labels(reason).inc()
        if changed or reason is not self.reason:
            log.info(
                "pool sized",
                processes=self.processes,
                before=size,
                reason=reason,
                backlog=load.backlog,
                oldest=round(load.oldest, 1),
                cpu=round(load.cpu),
                memory=round(load.memory),
            )
        self.reason = reason
        PROCESSES.set(self.processes)

    def _resized(self, size: int, wanted: int) -> bool:
        if wanted > size:
            self.pool.grow(wanted - size)
            self.pool.maintain_pool()
            return True
        return wanted < size and self._spare_one()

    def _spare_one(self) -> bool:
        """Only a process that has nothing: what was written to one and not yet accepted may be anyone's."""
        if any(not job.accepted() for job in self.pool._pool._cache.values()):
            return False
        try:
            self.pool.shrink(1)
        except ValueError:
            return False  # all have work
        return True

    def _fit_prefetch(self) -> None:
        """As many messages as processes. Celery begins with as many as there may ever be."""
        consumer = self.worker.consumer
        fetched = consumer.initial_prefetch_count // consumer.prefetch_multiplier
        if fetched != self.processes:
            consumer._update_prefetch_count(self.processes - fetched)
