"""Every fault, by name."""

import os
import signal
import time
from typing import ClassVar, Final

from tests.faults import striking
from tests.faults.others import ClockBack, ClockBackAndKill, ClockForward, TwoDispatchers
from tests.faults.poison import Allocate, Segfault, Sleep
from tests.faults.storage_gate import Mode
from tests.faults.striking import STRIKES_WITHIN, Fault, FromOutside, SelfInflicted, hold_for, kill
from tests.waiting import eventually


class KillChild(SelfInflicted):
    name = "kill -9 of a render child"


class KillWorker(SelfInflicted):
    name = "kill -9 of the render worker"
    action = "kill-parent"


class KillWorkerAsInstalled(KillWorker):
    name = "kill -9 of the render worker, default settings"
    #: Others wait for nothing but the worker's own start.
    slows = 20.0


class KillFetcher(SelfInflicted):
    name = "kill -9 of the fetching worker"
    points = striking.FETCH
    most_count = 2


class KillNotifier(SelfInflicted):
    name = "kill -9 of the notifier"
    points = striking.WEBHOOK
    unwilling = 2


class KillDispatcher(SelfInflicted):
    name = "kill -9 of the dispatcher"
    points = striking.DISPATCH


class KillApi(SelfInflicted):
    name = "kill -9 of the API"
    points = striking.SUBMIT
    most_count = 12


class KillBeat(SelfInflicted):
    name = "kill -9 of beat"
    points = ("beat.tick",)
    most_count = 2

    def check(self) -> None:
        beaten = "service = 'heartbeat' AND checked_at > now() - interval '10 s'"
        query = f"SELECT 1 AS one FROM service_health WHERE {beaten}"
        eventually(lambda: self.stack.rows(query), 60)


class KillRedis(FromOutside):
    name = "kill -9 and restart of Redis"
    points = (*striking.RENDER, "dispatch.taken", "dispatch.published")

    def strike(self) -> None:
        kill(self.stack, "redis")


class FlushRedis(FromOutside):
    name = "FLUSHALL of Redis"
    points = (*striking.RENDER, "dispatch.published")

    def strike(self) -> None:
        with self.stack.broker as broker:
            broker.flushall()


class FreezeRedis(FromOutside):
    name = "Redis frozen"
    points = (*striking.RENDER, "dispatch.taken")
    #: Seconds; `make chaos` takes 20.
    seconds: ClassVar[float] = 5.0

    def strike(self) -> None:
        self._pid = self.stack.local.pids()["redis"]
        os.kill(self._pid, signal.SIGSTOP)

    def afterwards(self) -> None:
        hold_for(self.seconds)
        os.kill(self._pid, signal.SIGCONT)

    def mend(self) -> None:
        os.kill(self.stack.local.pids()["redis"], signal.SIGCONT)


class KillPostgres(FromOutside):
    name = "kill -9 and restart of Postgres"
    points = (*striking.RENDER, *striking.DISPATCH, *striking.WEBHOOK)

    def strike(self) -> None:
        kill(self.stack, "postgres")


class StorageFault(FromOutside):
    mode: ClassVar[Mode]
    #: Seconds, or fewer: it is over when so many requests were refused.
    seconds: ClassVar[float] = 6.0
    requests: ClassVar[int] = 6

    def strike(self) -> None:
        self._before = self.stack.gate.refused
        self.stack.gate.switch(self.mode)

    def afterwards(self) -> None:
        hold_for(self.seconds, lambda: self.stack.gate.refused - self._before < self.requests)
        # Who was held may have stood still as long: he asks for something yet.
        hold_for(STRIKES_WITHIN, lambda: self.stack.gate.refused == self._before)
        self.stack.gate.switch(Mode.OPEN)
        if self.stack.gate.refused == self._before:
            self.seen.wrong.append("the storage was asked for nothing while it was away")

    def mend(self) -> None:
        self.stack.gate.switch(Mode.OPEN)


class StorageErrors(StorageFault):
    name = "storage answers 500"
    mode = Mode.ERROR


class StorageHangs(StorageFault):
    name = "storage hangs"
    mode = Mode.HANG


class Stop(FromOutside):
    """A clean stop: no job fails, and no attempt counts. ``held``: who works does not end in the time that it is
    given, so that its job has to be handed on.
    """

    process: ClassVar[str]
    held: ClassVar[bool] = False
    slows = 25.0
    #: Seconds between two looks of this process. Less than what is left of a lease before it is renewed.
    stood_still: ClassVar[float] = 2.0

    def strike(self) -> None:
        self._before = self.stack.local.pids()[self.process]
        self._looked, self._longest = time.monotonic(), 0.0
        os.kill(self._before, signal.SIGTERM)
        if self.held:
            self._wait()

    def afterwards(self) -> None:
        self._wait()

    def _wait(self) -> None:
        eventually(self._is_replaced, 60)

    def _is_replaced(self) -> bool:
        now = time.monotonic()
        self._longest, self._looked = max(self._longest, now - self._looked), now
        return self.stack.local.pids().get(self.process) not in (None, self._before)

    def check(self) -> None:
        if self.seen.strikes and self._longest > self.stood_still:
            return  # leases ran out with the machine, before anybody could hand them on
        # Jobs whose source answered 503 at first have a second attempt of their own.
        more = self.stack.rows(
            "SELECT id, attempts FROM jobs WHERE id = ANY(%s::uuid[]) AND attempts > 1",
            (sorted(self.seen.struck - {"jobs", "deliveries", ""}),),
        )
        self.seen.wrong += [
            f"{row['attempts']} attempts of job {row['id']}, which a clean stop handed on" for row in more
        ]


class StopWorker(Stop):
    name = "SIGTERM to the render worker"
    process = "imaging"


class StopBusyWorker(StopWorker):
    name = "SIGTERM to the render worker, whose job does not end"
    held = True


class StopFetcher(Stop):
    name = "SIGTERM to the fetching worker"
    process = "imaging-io"
    points = striking.FETCH
    most_count = 2


class StopBusyFetcher(StopFetcher):
    name = "SIGTERM to the fetching worker, whose job does not end"
    points = ("fetch.chunk", "fetch.stored")
    held = True


class StopNotifier(Stop):
    name = "SIGTERM to the notifier"
    process = "notifier"
    points = striking.WEBHOOK


class StopDispatcher(Stop):
    name = "SIGTERM to the dispatcher"
    process = "dispatcher"
    points = striking.DISPATCH


class StopApi(Stop):
    name = "SIGTERM to the API"
    process = "api"
    points = striking.SUBMIT
    most_count = 12


FAULTS: Final[dict[str, type[Fault]]] = {
    "kill-child": KillChild,
    "kill-worker": KillWorker,
    "kill-fetcher": KillFetcher,
    "kill-notifier": KillNotifier,
    "kill-dispatcher": KillDispatcher,
    "kill-beat": KillBeat,
    "kill-api": KillApi,
    "kill-redis": KillRedis,
    "flush-redis": FlushRedis,
    "freeze-redis": FreezeRedis,
    "kill-postgres": KillPostgres,
    "storage-errors": StorageErrors,
    "storage-hangs": StorageHangs,
    "stop-worker": StopWorker,
    "stop-busy-worker": StopBusyWorker,
    "stop-fetcher": StopFetcher,
    "stop-busy-fetcher": StopBusyFetcher,
    "stop-notifier": StopNotifier,
    "stop-dispatcher": StopDispatcher,
    "stop-api": StopApi,
    "segfault": Segfault,
    "allocate": Allocate,
    "sleep": Sleep,
    "two-dispatchers": TwoDispatchers,
    "clock-forward": ClockForward,
    "clock-back": ClockBack,
    "clock-back-and-kill": ClockBackAndKill,
}


class FreezeRedisLonger(FreezeRedis):
    name = "Redis frozen for 20 s"
    seconds = 20.0


#: On a stack of its own, with the settings that pixmill comes with.
AS_INSTALLED: Final[dict[str, type[Fault]]] = {"kill-worker-as-installed": KillWorkerAsInstalled}
#: What `make chaos` takes in place of the same of FAULTS.
LONGER: Final[dict[str, type[Fault]]] = {"freeze-redis": FreezeRedisLonger}
