"""Two beats at a schedule of a second, of which one is killed again and again: what came of each tick."""

import datetime
import itertools
import os
import signal
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from pixmill_shared.database.models import BeatRun
from tests.integration.shared.clockwork import Clockwork, gaps
from tests.servers import running_servers

LONGEST_GAP = 15.0
"""Seconds without a tick, after a kill too."""
KILL_EVERY = 20.0


@dataclass
class Ticked:
    """``ticks``: rows; ``done``: that a worker ran; ``messages``: that it took, ``dropped`` of them for their tick had
    been run; ``after_kill``: seconds from each kill to the next tick that was sent; ``gap``: the longest between ticks
    that were done; ``wrong``: sentences.
    """

    seconds: float = 0.0
    ticks: int = 0
    done: int = 0
    messages: int = 0
    dropped: int = 0
    after_kill: list[float] = field(default_factory=list)
    gap: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def twice(self) -> int:
        """Ticks that were run a second time."""
        return self.messages - self.dropped - self.done


def run_beats(directory: Path, seconds: float) -> Ticked:
    """With servers of its own in ``directory``."""
    with running_servers(directory / "servers") as servers:
        clockwork = Clockwork(servers, servers.new_database(), servers.redis_url, directory)
        try:
            return _killed(clockwork, seconds)
        finally:
            clockwork.close()


def _killed(clockwork: Clockwork, seconds: float) -> Ticked:
    worker, beats, seen = clockwork.worker(), [clockwork.beat(), clockwork.beat()], Ticked()
    kills: list[datetime.datetime] = []
    for process in (worker, *beats):
        process.wait_ready(120)
    begun = time.monotonic()
    for number in itertools.count():
        _wait(begun + (number + 1) * KILL_EVERY, begun + seconds)
        if time.monotonic() - begun >= seconds:
            break
        os.kill(beats[number % 2].popen.pid, signal.SIGKILL)
        beats[number % 2].popen.wait()
        kills.append(_now(clockwork))
        beats[number % 2] = clockwork.beat()
    seen.seconds = time.monotonic() - begun
    for beat in beats:
        beat.end(signal.SIGTERM, 60)
    runs = clockwork.settled(worker)
    done = [run for run in runs if run.finished_at is not None]
    seen.ticks, seen.done = len(runs), len(done)
    seen.after_kill = [_until_next(killed, runs) for killed in kills]
    seen.messages = int(worker.metric("pixmill_tasks_total", "record_heartbeat", 'outcome="succeeded"'))
    seen.dropped = worker.log.count("tick was run before")
    seen.gap = max((gap.total_seconds() for gap in gaps(done)), default=seen.seconds)
    seen.wrong = list(_judged(seen, [run.error for run in runs if run.error]))
    return seen


def _wait(*until: float) -> None:
    time.sleep(max(min(until) - time.monotonic(), 0))


def _now(clockwork: Clockwork) -> datetime.datetime:
    """By the clock that ticks go by."""
    with clockwork.database.session_scope() as session:
        return session.execute(text("SELECT clock_timestamp()")).scalar_one()  # type: ignore[no-any-return]


def _until_next(killed: datetime.datetime, runs: list[BeatRun]) -> float:
    """Seconds until a tick was sent."""
    later = [run.sent_at for run in runs if run.sent_at > killed]
    return (min(later) - killed).total_seconds() if later else float("inf")


def _judged(seen: Ticked, errors: list[str]) -> Iterator[str]:
    if seen.twice:
        yield f"{seen.twice} ticks were run twice"
    if seen.gap >= LONGEST_GAP or max(seen.after_kill, default=0) >= LONGEST_GAP:
        yield f"no tick for {max(seen.gap, *seen.after_kill):.1f} s"
    if seen.done < seen.ticks / 2:
        yield f"of {seen.ticks} ticks only {seen.done} were done"
    yield from sorted(set(errors))


def table(seen: Ticked) -> str:
    """In words: there is one line of each figure."""
    kills = seen.after_kill
    lines = [
        f"* {seen.ticks} ticks in {seen.seconds:.0f} s, of which {seen.done} were run, and {seen.twice} run twice. The "
        "others waited for a worker for longer than they are valid, .8 s.",
        f"* {len(kills)} kills. To the next tick: {statistics.median(kills or [0]):.2f} s (median), "
        f"{max(kills, default=0):.2f} s at most. The longest time without a tick that was run: {seen.gap:.0f} s.",
        f"* {seen.dropped} messages were there twice, from a beat that was killed after publishing, and were dropped.",
        *(f"* WRONG: {sentence}" for sentence in seen.wrong),
    ]
    return "\n".join(lines)
