"""What works in this process: lanes, the keeper of their leases, and a dispatcher that gives to them."""

from typing import Final

from pixmill_api.inline.lanes import Lane
from pixmill_api.inline.ledger import Ledger
from pixmill_api.inline.outlet import LocalOutlet
from pixmill_api.inline.runners import InChild, InThread
from pixmill_api.settings.inline import InlineSettings, environment_for_providers, environment_without_keys
from pixmill_shared.contract.queues import RENDER_QUEUES, QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.plumbing.inline import InlineServices
from pixmill_shared.plumbing.leases import longest_chunk
from pixmill_shared.runtime import Runtime, start_runtime
from pixmill_shared.service.leases import LeaseKeeper
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.work import TaskLimitSettings, WorkSettings

FETCHES: Final = 2
DELIVERIES: Final = 4
"""Places for each one that renders: they wait for others, most of the time."""

REQUESTS: Final = 2
"""Places for tasks that somebody asked for: one may take an hour."""

_RENDER: Final = tuple(RENDER_QUEUES.values())
_NOTIFY: Final = (QueueName.NOTIFIER, QueueName.NOTIFIER_RETRY, QueueName.NOTIFIER_ALERTS)
_TASKS: Final = (QueueName.DEFAULT_HIGH, QueueName.DEFAULT, QueueName.MAINTENANCE, QueueName.API)


class Crew:
    """One in a process: what notifier and imaging have built for it is built once.

    Its runtime is a second one: tasks find it as that of their process, and claim in its name. Requests have theirs,
    so that work takes no connection of theirs.
    """

    def __init__(self, settings: InlineSettings, services: InlineServices) -> None:
        limits, renders = TaskLimitSettings.load(), settings.concurrency
        # As a notifier with so many threads: half of them is what one host may hold. The others find connections too.
        self.runtime = start_runtime(threads=DELIVERIES * renders)
        self._keeper = _keeper_of(self.runtime, limits)
        self._ledger = Ledger(self._keeper, {**services.in_threads, **services.in_children})

        def thread() -> InThread:
            return InThread(services.in_threads)

        def child() -> InChild:
            return InChild(self.runtime.worker_name, limits.hard, environment_without_keys)

        def patient_child() -> InChild:
            return InChild(self.runtime.worker_name, longest_chunk(self.runtime.work), environment_for_providers)

        self._lanes = [
            Lane("render", _RENDER, renders, child, self._ledger),
            Lane("fetch", (QueueName.FETCH,), FETCHES * renders, thread, self._ledger),
            Lane("notify", _NOTIFY, DELIVERIES * renders, thread, self._ledger),
        ]
        if settings.always:
            # While a broker is only away for a time, pictures that take minutes wait for it.
            generates = self.runtime.work.image_workers
            self._lanes.append(Lane("generate", (QueueName.GENERATE,), generates, patient_child, self._ledger))
            self._lanes.append(Lane("tasks", _TASKS, REQUESTS, thread, self._ledger))
        largest = None if settings.always else settings.max_bytes
        self.dispatcher = Dispatcher(self.runtime, LocalOutlet(self._lanes, self.runtime.work, largest))

    def close(self, until: float) -> None:
        """When nothing runs any more; what runs at ``until``, of the monotonic clock, is handed back and ended."""
        for lane in self._lanes:
            lane.wait_idle(until)
        self._ledger.hand_back()
        for lane in self._lanes:
            lane.close()
        self._keeper.stop()


def _keeper_of(runtime: Runtime, limits: TaskLimitSettings) -> LeaseKeeper:
    settings, work = DatabaseSettings.load(), WorkSettings.load()
    database = Database(settings.url, pool_size=1, max_overflow=1, statement_timeout=settings.statement_timeout)
    keeper = LeaseKeeper(database, runtime.worker_name, work, longest=limits.hard + work.lease)
    keeper.start()
    return keeper
