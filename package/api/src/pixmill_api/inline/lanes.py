"""Places in which this process works: a lane for each sort of work, with so many of them."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from pixmill_api import metrics
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.observability import metrics as shared_metrics
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

LAST_FIRST: Final = 4
"""Every so many looks, a lane takes from its queues in reverse order, so that the last one is never starved."""


IDLE: Final = 300.0
"""Seconds without work after which a place frees what it holds."""


class End(StrEnum):
    """How work ended. ``not_begun``: it has not, and has not claimed its row."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DIED = "died"
    TIME_LIMIT = "time_limit"
    NOT_BEGUN = "not_begun"


class Runner(Protocol):
    """One place: one thread runs one message after the other in it. Another may close it."""

    def run(self, message: Message) -> End:
        """Blocks until it has ended."""

    def rest(self) -> None:
        """Nothing has run for a while: free what the next one can build again."""

    def close(self) -> None:
        """What runs ends now, if it can be ended, and nothing will run any more."""


class Book(Protocol):
    """Who is told of the work of a lane, by the thread that does it."""

    def began(self, message: Message) -> None: ...

    def ended(self, message: Message, end: End) -> None: ...


class Lane:
    """``places`` threads, each with a runner. ``free()`` and ``submit()`` are called by one thread."""

    def __init__(
        self, name: str, queues: Sequence[QueueName], places: int, runner: Callable[[], Runner], book: Book
    ) -> None:
        self.name = name
        self.queues = tuple(queues)
        self._book = book
        self._places = places
        self._looks = 0
        self._waiting: SimpleQueue[Message] = SimpleQueue()
        self._busy = 0
        self._changed = threading.Condition()
        self._runners = [runner() for _ in range(places)]
        for number, each in enumerate(self._runners):
            threading.Thread(target=self._work, args=(each,), name=f"{name}-{number}", daemon=True).start()

    def order(self, queues: Collection[QueueName]) -> list[QueueName]:
        """Those of its queues that are among ``queues``, in the order in which their rows come this time."""
        mine = [queue for queue in self.queues if queue in queues]
        if len(mine) > 1:
            self._looks += 1
            if self._looks % LAST_FIRST == 0:
                mine.reverse()
        return mine

    def free(self) -> int:
        """Places."""
        with self._changed:
            return self._places - self._busy

    def submit(self, message: Message) -> None:
        """There must be a free place; after ``close`` nobody comes for it."""
        with self._changed:
            self._busy += 1
        metrics.INLINE_BUSY.labels(self.name).inc()
        self._waiting.put(message)

    def wait_idle(self, until: float) -> bool:
        """Whether nothing runs, at the latest at ``until``, of the monotonic clock."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, max(until - time.monotonic(), 0))

    def close(self) -> None:
        """What runs ends now, if it can be ended."""
        for runner in self._runners:
            runner.close()

    def _work(self, runner: Runner) -> None:
        while True:
            try:
                message = self._waiting.get(timeout=IDLE)
            except Empty:
                runner.rest()
            else:
                self._one(runner, message)

    def _one(self, runner: Runner, message: Message) -> None:
        begun, end = time.monotonic(), End.FAILED
        try:
            self._book.began(message)
            end = runner.run(message)
        except Exception:
            # The thread's boundary: without it the place would be lost.
            log.exception("unexpected error of a runner")
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
            metrics.INLINE_BUSY.labels(self.name).dec()
            shared_metrics.TASKS.labels(task=message.task.value, outcome=end.value).inc()
            if end is End.SUCCEEDED:
                shared_metrics.TASK_SECONDS.labels(task=message.task.value).observe(time.monotonic() - begun)
            self._book.ended(message, end)
