"""Jobs that generate, under all at once that may happen to them: messages that come twice, workers that go silent in
the middle, cancel, delete, a provider that fails, prompts that others draw too. One real database and storage.
"""

import queue
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY
from sqlalchemy import text

from pixmill_shared import failpoints
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.generation import Fallback
from pixmill_shared.domain.jobs import TERMINAL, CancelOutcome
from pixmill_shared.repositories import chunks, deleting, jobs
from pixmill_shared.settings.work import WorkSettings
from tests.integration.imaging.studio import RECIPE, Easel, Painter
from tests.soak.generation_crew import DoublingOutlet, FailingProvider, Messages, Seen, SilentWorker

PROMPTS = 12
"""That jobs are of at a time: each is drawn by several of them, at the same time too, and by none some time later."""
TWO = {
    "outputs": [*RECIPE["outputs"], {"name": "small", "format": "png", "operations": [{"op": "resize", "width": 9}]}]
}
PAUSE = 0.05
"""Seconds between two passes of a dispatcher, or two acts of a client."""


@dataclass(frozen=True)
class Load:
    """``seconds`` that jobs are submitted for, and longer, up to ``patience`` seconds, until there are ``least`` of
    completed, canceled and deleted jobs each, and of expired leases; ``jobs`` of which are unfinished at
    once, and ``settle`` at most that they take to end afterwards; ``lease`` in seconds; ``silent``: the part of the
    claims whose worker goes silent; ``threads`` of each of the ``processes``.
    """

    seconds: float
    seed: int = 7
    jobs: int = 25
    image_workers: int = 4
    lease: float = 1.0
    silent: float = 0.1
    processes: int = 2
    threads: int = 4
    settle: float = 120.0
    least: int = 0
    patience: float = 0.0

    @property
    def settings(self) -> WorkSettings:
        return WorkSettings(lease=self.lease, image_workers=self.image_workers, redispatch_after=2)


class Stress:
    """Of one database and one directory, which nobody else uses."""

    def __init__(self, url: str, directory: Path, load: Load) -> None:
        self._url, self._load = url, load
        self._database = Database(url, pool_size=load.processes * load.threads + 4, max_overflow=4)
        self._pictures, self._failing = directory / "pictures", directory / "failpoints"
        self._failing.mkdir()
        self._painter = Painter()
        self._painter.does = FailingProvider(load.seed)
        self._messages: Messages = queue.Queue()
        self._ids: list[uuid.UUID] = []
        self._over = threading.Event()
        self._before = 0
        self.easel = self._easel()
        self.seen = Seen()

    def run(self) -> None:
        """Until all jobs have ended, or had the time for it. What is wrong then is in the rows, and in ``seen``."""
        self._before = _expired()
        failpoints.arm(str(self._failing))
        with ExitStack() as stack:
            stack.callback(failpoints.arm, "")
            self._start_all(stack)
            self._submit(time.monotonic())
            self._settle(time.monotonic() + self._load.settle)
        self.seen.drawn, self.seen.expired = len(self._painter.drawn), _expired() - self._before

    def close(self) -> None:
        """Its connections."""
        self._database.dispose()

    def _start_all(self, stack: ExitStack) -> None:
        """Threads, which are stopped before what keeps their leases."""
        workers = [self._worker(number) for number in range(self._load.processes)]
        for worker in workers:
            stack.enter_context(worker.keeping_leases())
        acts = [self._canceling(), *(self._passing(number) for number in range(2))]
        acts += [worker.work for worker in workers for _ in range(self._load.threads)]
        threads = [threading.Thread(target=self._until_over, args=(act,), daemon=True) for act in acts]
        stack.callback(self._stop, threads)
        for thread in threads:
            thread.start()

    def _stop(self, threads: list[threading.Thread]) -> None:
        self._over.set()
        until = time.monotonic() + 60
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
        if hanging := sum(thread.is_alive() for thread in threads):
            self.seen.errors["threads that hang"] += hanging

    def _until_over(self, act: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                act()
            except Exception as error:
                # The thread's boundary: it goes on, and the error is told.
                self.seen.tell(error)
                self._over.wait(PAUSE)

    def _submit(self, begun: float) -> None:
        """Keep so many jobs unfinished, and delete some that have ended."""
        dice = self._dice("client")
        while not self._is_enough(time.monotonic() - begun):
            if self.easel.scalar("SELECT count(*) FROM jobs WHERE finished_at IS NULL") < self._load.jobs:
                prompts = _prompts(dice, self.seen.submitted // 2)
                self._ids.append(self.easel.submit(*prompts, **_of_any_kind(dice)))
                self.seen.submitted += 1
            if dice.random() < 0.3:
                self._delete(dice.choice(self._ids))
            time.sleep(PAUSE)

    def _is_enough(self, seconds: float) -> bool:
        if seconds < self._load.seconds or seconds >= self._load.patience:
            return seconds >= self._load.seconds
        completed = self.easel.scalar("SELECT count(*) FROM jobs WHERE status = 'completed'")
        seen = (completed, self.seen.canceled, self.seen.deleted, _expired() - self._before)
        return min(seen) >= self._load.least

    def _settle(self, until: float) -> None:
        left = """SELECT (SELECT count(*) FROM jobs WHERE finished_at IS NULL)
                       + (SELECT count(*) FROM generation_chunks WHERE finished_at IS NULL)"""
        while time.monotonic() < until and self.easel.scalar(left):
            self._hurry()
            time.sleep(PAUSE)

    def _hurry(self) -> None:
        """What is to be tried again later, half a minute perhaps, is tried now. What is locked is passed by."""
        delayed = "SELECT id FROM generation_chunks WHERE run_at > clock_timestamp() FOR UPDATE SKIP LOCKED"
        with self._database.session_scope() as session:
            session.execute(text(f"UPDATE generation_chunks SET run_at = clock_timestamp() WHERE id IN ({delayed})"))

    def _canceling(self) -> Callable[[], None]:
        """As the API does: one of the last jobs, which may have ended."""
        dice = self._dice("cancel")

        def act() -> None:
            if self._over.wait(8 * PAUSE) or not self._ids:
                return
            job_id = dice.choice(self._ids[-self._load.jobs :])
            with self._database.session_scope() as session:
                if jobs.cancel(session, job_id, "default") is CancelOutcome.CANCELED:
                    chunks.drop_all(session, job_id)
                    self.seen.canceled += 1

        return act

    def _delete(self, job_id: uuid.UUID) -> None:
        """As the API does, unless the job goes on or is gone."""
        names: list[str] = []
        with self._database.session_scope() as session:
            if deleting.lock_job(session, job_id, "default") in TERMINAL:
                names = deleting.delete_job(session, job_id)
                self.seen.deleted += 1
        for name in names:
            self.easel.store.delete(name)

    def _passing(self, number: int) -> Callable[[], None]:
        """A dispatcher's loop."""
        runtime = self._easel().runtime
        outlet = DoublingOutlet(self._messages, runtime.work, self._dice(f"outlet {number}"))
        dispatcher = Dispatcher(runtime, outlet, [kind for kind in KINDS if kind.work is chunks.WORK])

        def act() -> None:
            dispatcher.recover()
            dispatcher.pass_over()
            self._over.wait(PAUSE)

        return act

    def _worker(self, number: int) -> SilentWorker:
        dice = self._dice(f"worker {number}")
        keeping = Database(self._url, pool_size=1, max_overflow=1)
        return SilentWorker(self._easel(), keeping, self._messages, self._failing, self._load.silent, dice, self.seen)

    def _easel(self) -> Easel:
        """A process' own, but for the connections."""
        easel = Easel(self._database, str(self._pictures), self._painter)
        easel.runtime.__dict__["work"] = self._load.settings
        return easel

    def _dice(self, whose: str) -> random.Random:
        return random.Random(f"{self._load.seed} {whose}")


def _prompts(dice: random.Random, first: int) -> list[str]:
    return [f"Dish {first + dice.randrange(PROMPTS)}" for _ in range(dice.randint(1, 9))]


def _of_any_kind(dice: random.Random) -> dict[str, Any]:
    return {
        "size": 2,
        "at_once": 2,
        "fallback": dice.choice((Fallback.PLACEHOLDER, Fallback.PLACEHOLDER, Fallback.SKIP, Fallback.FAIL)),
        "cache": dice.random() < 0.7,
        "recipe": dice.choice((RECIPE, TWO)),
    }


def _expired() -> int:
    labels = {"table": chunks.WORK.table}
    return int(REGISTRY.get_sample_value("pixmill_leases_expired_total", labels) or 0)
