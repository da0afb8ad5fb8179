"""What a worker tells of itself every few seconds, and what it learns: how much waits, and what an operator wants."""

import threading
import time
from typing import Any, Final

import psutil
from celery import bootsteps
from celery.worker import state
from sqlalchemy.exc import SQLAlchemyError

from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.scaling import Load
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.observability.machine import Machine
from pixmill_shared.plumbing import leases
from pixmill_shared.plumbing.autoscaler import BacklogAutoscaler
from pixmill_shared.repositories import workers
from pixmill_shared.repositories.waiting import Waiting, waiting
from pixmill_shared.runtime import runtime
from pixmill_shared.settings.database import DatabaseSettings

log = get_logger(__name__)

TELL_EVERY: Final = 10.0
MEASURE_EVERY: Final = 1.0
"""Seconds."""


class Crew(threading.Thread):
    """Of one worker, in its main process. A database that is away costs nothing but the news."""

    def __init__(self, worker: Any, database: Database) -> None:
        super().__init__(name="crew", daemon=True)
        self._worker = worker
        self._database = database
        self._queues = sorted(worker.app.amqp.queues.consume_from)
        self._tables = {kind.work.table for kind in KINDS if set(kind.queues) & set(self._queues)}
        self._machine = Machine()
        self._ended = threading.Event()
        self._told_at = float("-inf")
        self._away = False

    def run(self) -> None:
        """Until ``end()``."""
        while not self._ended.is_set():
            try:
                self._look()
                self._away = False
            except SQLAlchemyError as error:
                if not self._away:
                    log.warning("worker cannot tell of itself", error=type(error).__name__)
                self._away = True
            except Exception:
                # The thread's boundary: without it the worker would seem gone, and its pool keep its size, for good.
                if not self._away:
                    log.exception("unexpected error while the worker told of itself")
                self._away = True
            self._ended.wait(MEASURE_EVERY if self._scaler() else TELL_EVERY)

    def end(self) -> None:
        """The worker is not one of the crew any more."""
        self._ended.set()
        self.join(5)
        try:
            with self._database.session_scope() as session:
                workers.leave(session, self._worker.hostname, runtime().worker_name)
        except SQLAlchemyError:
            log.info("worker could not take leave, its row goes stale")
        self._database.dispose()

    def _look(self) -> None:
        scaler, now = self._scaler(), time.monotonic()
        if scaler is not None:
            scaler.offer(self._load(scaler, now))
        if now - self._told_at >= TELL_EVERY:
            wanted = self._tell(scaler)
            self._told_at = now
            if scaler is not None:
                scaler.bound(*wanted)

    def _scaler(self) -> BacklogAutoscaler | None:
        scaler = getattr(self._worker, "autoscaler", None)
        return scaler if isinstance(scaler, BacklogAutoscaler) else None

    def _load(self, scaler: BacklogAutoscaler, now: float) -> Load:
        most = 2 * scaler.limits.queue_threshold
        with self._database.session_scope() as session:
            found: list[Waiting] = [waiting(session, table, self._queues, most) for table in sorted(self._tables)]
        return Load(
            at=now,
            backlog=sum(each.rows for each in found),
            oldest=max((each.oldest for each in found), default=0.0),
            cpu=self._machine.cpu(),
            memory=self._machine.memory(),
        )

    def _tell(self, scaler: BacklogAutoscaler | None) -> tuple[int | None, int | None]:
        worker = self._worker
        prefork = hasattr(worker.pool, "num_processes")
        seen = workers.Seen(
            name=worker.hostname,
            instance=runtime().worker_name,
            queues=self._queues,
            pool="prefork" if prefork else "threads",
            size=worker.pool.num_processes if prefork else worker.concurrency,
            active=len(leases.running()),
            processed=sum(state.total_count.values()),
            resident_bytes=resident_bytes(),
            least=scaler.limits.least if scaler else None,
            most=scaler.limits.most if scaler else None,
            scaling=scaler.reason if scaler else None,
        )
        with self._database.session_scope() as session:
            return workers.renew(session, seen)


def resident_bytes() -> int:
    """Of this process and its children; what they share counts for each."""
    whole = 0
    mine = psutil.Process()
    for process in (mine, *mine.children(recursive=True)):
        try:
            whole += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it has ended since
    return whole


class CrewStep(bootsteps.StartStopStep):
    """Keeps the worker's row."""

    # After the pool: its first children inherit neither the thread nor its connection.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._crew: Crew | None = None

    def start(self, worker: Any) -> None:
        settings = DatabaseSettings.load()
        database = Database(settings.url, pool_size=1, statement_timeout=settings.statement_timeout)
        self._crew = Crew(worker, database)
        self._crew.start()

    def stop(self, worker: Any) -> None:
        if self._crew is not None:
            self._crew.end()
            self._crew = None

    def terminate(self, worker: Any) -> None:
        self.stop(worker)
