"""How a fault strikes: by a failpoint, or from outside while a failpoint holds somebody in the middle of the work."""

import os
import random
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from tests.faults.armed import Strike
from tests.faults.load import Load
from tests.faults.stack import Stack
from tests.waiting import eventually

#: Where a render may be struck, from the claim to the end.
CLAIM: Final = ("render.claimed",)
BODY: Final = ("body.opened", "output.made")
STORE: Final = ("output.stored",)
FINISH: Final = ("finish.begun", "finish.committed")
RENDER: Final = (*CLAIM, *BODY, *STORE, *FINISH)
FETCH: Final = ("fetch.claimed", "fetch.chunk", "fetch.stored", "fetch.committed")
DISPATCH: Final = ("dispatch.taken", "dispatch.published", "dispatch.committed")
WEBHOOK: Final = ("webhook.claimed", "webhook.answered", "webhook.recorded")
SUBMIT: Final = ("submit.inserted", "submit.committed")

STRIKES_WITHIN: Final = 60.0
"""Seconds in which a fault has to have struck."""


@dataclass
class Moment:
    """When a fault strikes: at the ``count``-th pass of each of ``points``."""

    points: Sequence[str]
    dice: random.Random

    def count(self, most: int) -> int:
        return self.dice.randint(1, most)


@dataclass
class Seen:
    """``wanted`` is how many strikes there have to be; ``struck`` are jobs that were worked on by what was struck,
    ``lasted`` the seconds of the fault itself; ``wrong`` are sentences.
    """

    strikes: list[Strike] = field(default_factory=list)
    wanted: int = 1
    struck: set[str] = field(default_factory=set)
    lasted: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Fault(ABC):
    """One kind of fault. ``slows`` is by how many seconds other jobs may be slowed beyond the fault's own time."""

    name: ClassVar[str]
    points: ClassVar[Sequence[str]] = RENDER
    most_count: ClassVar[int] = 6
    slows: ClassVar[float] = 15.0
    unwilling: ClassVar[int] = 0

    def __init__(self, stack: Stack, load: Load, moment: Moment) -> None:
        self.stack = stack
        self.load = load
        self.moment = moment
        self.seen = Seen()

    @abstractmethod
    def arm(self) -> None:
        """Before the load comes."""

    @abstractmethod
    def act(self) -> None:
        """While it comes; returns when the fault is over, with what was ``seen``."""

    def check(self) -> None:  # noqa: B027 - most faults have nothing to add
        """After all jobs are over: what is asked of this fault alone."""

    def mend(self) -> None:  # noqa: B027
        """Whatever went wrong before: nothing of it stays."""

    def strikes(self) -> list[Strike]:
        """Of this fault, so far."""
        return [strike for strike in self.stack.armed.strikes() if strike.name in self.moment.points]

    def wait_for_strikes(self, within: float = STRIKES_WITHIN) -> None:
        """As many as are wanted, or as many as come in time."""
        until = time.monotonic() + within
        while len(self.strikes()) < self.seen.wanted and time.monotonic() < until:
            self.stack.local_runs()
            time.sleep(0.02)
        self.seen.strikes = self.strikes()
        self.seen.struck = {strike.key for strike in self.seen.strikes}


class SelfInflicted(Fault):
    """A process kills itself, or what is above it, at the failpoint: nothing is faster than that."""

    action: ClassVar[str] = "kill"

    def arm(self) -> None:
        self.seen.wanted = len(self.moment.points)
        for point in self.moment.points:
            self.stack.armed.arm(point, self.action, count=self.moment.count(self.most_count))

    def act(self) -> None:
        self.wait_for_strikes()


class FromOutside(Fault):
    """One process waits at the failpoint; then something else is struck; then it goes on."""

    def arm(self) -> None:
        (point, *_) = self.moment.points
        self.stack.armed.arm(point, "pause", count=self.moment.count(self.most_count), seconds=30)

    def act(self) -> None:
        self.wait_for_strikes()
        begun = time.monotonic()
        if self.seen.strikes:
            self.strike()
            self.release()
            self.afterwards()
        self.seen.lasted = time.monotonic() - begun

    def release(self) -> None:
        for strike in self.seen.strikes:
            strike.file.unlink(missing_ok=True)

    @abstractmethod
    def strike(self) -> None:
        """While the process waits."""

    def afterwards(self) -> None:
        """While it goes on."""


def kill(stack: Stack, name: str, number: signal.Signals = signal.SIGKILL) -> int:
    """A process of the stack, by name; returns when another one has its place."""
    before = stack.local.pids()[name]
    os.kill(before, number)
    return eventually(lambda: _other(stack, name, before), 60)


def _other(stack: Stack, name: str, before: int) -> int | None:
    stack.local_runs()
    pid = stack.local.pids().get(name)
    return pid if pid is not None and pid != before else None


def hold_for(seconds: float, still: Callable[[], bool] = lambda: True) -> None:
    """A fault that lasts: as long as said, or until it has done what it is for."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and still():
        time.sleep(0.05)
