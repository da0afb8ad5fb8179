"""One round: a fresh load, one fault in the middle of it, and what came of it."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pixmill_shared.database.engine import Database
from pixmill_shared.service.sweeping import sweep_objects
from tests.faults.armed import Strike
from tests.faults.auditor import Auditor, Findings, stray_objects
from tests.faults.load import Load
from tests.faults.stack import Stack
from tests.faults.striking import Fault, Moment, Seen

_ID: Final = 36
"""Characters of an id; other keys of failpoints are no jobs."""
OVER_WITHIN: Final = 120.0
"""Seconds after the fault in which all jobs have to be over; what is not is lost."""


@dataclass(frozen=True)
class Outcome:
    """``again`` are the seconds from a strike to the next claim of the job that was struck; ``seconds`` is how long the
    whole round took.
    """

    name: str
    seen: Seen
    findings: Findings
    again: list[float]
    seconds: float

    @property
    def wrong(self) -> list[str]:
        """Sentences; empty if all is well."""
        struck, wanted = len(self.seen.strikes), self.seen.wanted
        not_run = [f"NOT RUN: the fault struck {struck} times at work, not {wanted}"] if struck < wanted else []
        return [*not_run, *self.findings.all, *self.seen.wrong]


def play(
    stack: Stack, faults: dict[type[Fault], Moment], jobs: int, dice: random.Random, patience: float = 2
) -> list[Outcome]:
    """All ``faults`` in one load; an outcome each. Raises AssertionError if the stack did not come back.

    Other jobs may be slowed by ``patience`` times what they are on an idle machine.
    """
    stack.armed.clear()
    stack.wait_whole()
    begun, load, watch = time.monotonic(), Load(stack, jobs, dice), ReclaimWatch(stack)
    running = [kind(stack, load, moment) for kind, moment in faults.items()]
    stack.neighbours.unwilling = max(fault.unwilling for fault in running)
    try:
        for fault in running:
            fault.arm()
        with watch, ThreadPoolExecutor() as threads:
            load.start()
            for acting in [threads.submit(fault.act) for fault in running]:
                acting.result()
            load.wait_sent()
            Auditor(stack, load).wait(OVER_WITHIN)
        stack.armed.clear_orders()
        for fault in running:
            fault.check()
    finally:
        for fault in running:
            fault.mend()
        stack.armed.clear()
    findings = Auditor(stack, load).audit({key for fault in running for key in fault.seen.struck})
    most = max(fault.seen.lasted for fault in running) + patience * sum(fault.slows for fault in running)
    if findings.slowest > most:
        findings.wrong.append(f"a job that was not struck took {findings.slowest:.1f} s, more than {most:.1f}")
    findings.wrong += swept(stack)
    taken = time.monotonic() - begun
    return [Outcome(fault.name, fault.seen, findings, watch.again, taken) for fault in running]


def swept(stack: Stack) -> list[str]:
    """Delete what killed processes left, as the nightly sweep does; what is wrong afterwards. When nobody works."""
    database = Database(stack.local.database.migrate_url.replace("postgresql://", "postgresql+psycopg2://", 1))
    try:
        # The clock of the store counts whole seconds.
        sweep_objects(database, stack.store, older_than=timedelta(seconds=-2))
    finally:
        database.dispose()
    return [f"the object {key} has no row, after the sweep" for key in stray_objects(stack)]


@dataclass
class ReclaimWatch:
    """Notes when jobs that were struck are claimed again."""

    stack: Stack
    again: list[float] = field(default_factory=list)

    def __enter__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(70)

    def _watch(self) -> None:
        fences: dict[Strike, int] = {}
        known: set[str] = set()
        while not self._over.wait(0.05):
            for strike in self.stack.armed.strikes():
                if strike.file.name not in known and len(strike.key) == _ID:
                    known.add(strike.file.name)
                    fences[strike] = self._fence(strike.key)[0]
            for strike, fence in list(fences.items()):
                now, over = self._fence(strike.key)
                if now > fence:
                    self.again.append(time.time() - strike.at)
                if now > fence or over:
                    del fences[strike]

    def _fence(self, job_id: str) -> tuple[int, bool]:
        rows = self.stack.patient_rows("SELECT fence, finished_at FROM jobs WHERE id = %s", (job_id,))
        return (int(rows[0]["fence"]), rows[0]["finished_at"] is not None) if rows else (0, False)


def moments(kind: type[Fault], seed: int, rounds: int, at_once: int = 1) -> list[Moment]:
    """One for each round: the points take turns, the counts are thrown. The same for a seed."""
    dice = random.Random(f"{seed} {kind.__name__}")
    points = list(kind.points)
    dice.shuffle(points)
    turns = [[points[(turn * at_once + at) % len(points)] for at in range(at_once)] for turn in range(rounds)]
    return [Moment(sorted(set(turn)), random.Random(dice.random())) for turn in turns]
