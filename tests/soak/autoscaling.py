"""A burst of jobs for one worker that sizes itself: its pool over time, from the least to the most and back."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs
from tests.integration.shared.crew import Crew, picture
from tests.integration.shared.processes import Running
from tests.servers import running_servers

LEAST, MOST = 2, 10
COOL_DOWN = 5
"""Seconds; the setting's default is 60."""
GROWN_WITHIN = 5.0
STARTED_WITHIN = 120.0
_LOOK = 0.25
_TELL_EVERY = 15.0


class Moment(NamedTuple):
    """``at`` in seconds since the burst was committed."""

    at: float
    processes: int
    waiting: int
    done: int


@dataclass
class Sized:
    """``grown``: seconds until the pool had its most; ``back``: from the last job to its least; ``wrong`` in words."""

    jobs: int
    moments: list[Moment] = field(default_factory=list)
    grown: float | None = None
    finished: float | None = None
    back: float | None = None
    steps: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run_burst(directory: Path, count: int, within: float) -> Sized:
    """With servers of its own in ``directory``. Prints the pool whenever it changes, and now and then."""
    with running_servers(directory / "servers") as servers:
        settings = {"PIXMILL_SCALE_COOL_DOWN": str(COOL_DOWN), "MEMORY_THRESHOLD": "95"}
        url = servers.new_database()
        crew = Crew(servers, url, directory, REDIS_URL=servers.redis_url, **settings)
        try:
            worker = crew.worker("imaging", f"--autoscale={MOST},{LEAST}")
            worker.wait_ready(STARTED_WITHIN)
            crew.dispatch()
            seen = Sized(count)
            _submit(crew, count)
            _watch(crew, worker, seen, within)
            _judge(crew, worker, seen)
        finally:
            crew.close()
    return seen


def _submit(crew: Crew, count: int) -> None:
    """One upload, and of each job another output; committed at once."""
    data = picture(640, 480)
    name = hashlib.sha256(data).hexdigest()
    stored = crew.objects / "uploads" / name
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(data)
    with crew.database.session_scope() as session:
        for number in range(count):
            sharpen = {"op": "filter", "name": "sharpen", "amount": round(0.1 + number / 10_000, 4)}
            steps = [{"op": "resize", "width": 320}, sharpen]
            jobs.insert(
                session,
                jobs.NewJob(
                    *("default", Stage.RENDER, QueueName.IMAGING, 1, {"upload_id": name}),
                    recipe={"outputs": [{"name": "web", "format": "jpeg", "operations": steps}]},
                    source_key=f"uploads/{name}",
                    source_sha256=name,
                ),
            )


def _watch(crew: Crew, worker: Running, seen: Sized, within: float) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < within:
        moment = _moment(crew, worker, begun)
        last = seen.moments[-1] if seen.moments else None
        ended = moment.done == seen.jobs and seen.finished is None
        if last is None or ended or moment.processes != last.processes or moment.at - last.at >= _TELL_EVERY:
            seen.moments.append(moment)
            print(f"{moment.at:7.1f} s  {moment.processes:3} processes  {moment.waiting:5} wait  {moment.done:5} done")
        if moment.processes == MOST and seen.grown is None:
            seen.grown = moment.at
        if ended:
            seen.finished = moment.at
        if seen.finished is not None and moment.processes == LEAST:
            seen.back = moment.at - seen.finished
            return
        time.sleep(_LOOK)


def _moment(crew: Crew, worker: Running, begun: float) -> Moment:
    counts = "count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE finished_at IS NOT NULL)"
    with crew.database.session_scope() as session:
        waiting, done = session.execute(text(f"SELECT {counts} FROM jobs")).one()
    return Moment(time.monotonic() - begun, len(worker.children), int(waiting), int(done))


def _judge(crew: Crew, worker: Running, seen: Sized) -> None:
    seen.steps = {
        reason: int(worker.metric("pixmill_pool_steps_total", f'reason="{reason}"'))
        for reason in ("emergency", "backlog", "quiet")
    }
    with crew.database.session_scope() as session:
        ends = session.execute(text("SELECT status, attempts, count(*) FROM jobs GROUP BY 1, 2")).all()
    seen.wrong = list(_wrong(seen, [(str(status), int(attempts), int(rows)) for status, attempts, rows in ends]))


def _wrong(seen: Sized, ends: list[tuple[str, int, int]]) -> Iterator[str]:
    if seen.grown is None or seen.grown > GROWN_WITHIN:
        yield f"the pool had not its most within {GROWN_WITHIN:g} s"
    if seen.back is None:
        yield "the pool did not come back to its least"
    if ends != [("completed", 1, seen.jobs)]:
        yield f"jobs ended otherwise than completed at their first try: {ends}"


def table(seen: Sized) -> str:
    """The pool over time."""
    return "\n".join(_lines(seen))


def _lines(seen: Sized) -> Iterator[str]:
    yield "| s | processes | jobs that wait | done |"
    yield "| --- | --- | --- | --- |"
    for moment in seen.moments:
        yield f"| {moment.at:.1f} | {moment.processes} | {moment.waiting:,} | {moment.done:,} |"
    yield ""
    steps = ", ".join(f"{count} {reason}" for reason, count in seen.steps.items())
    grown, finished, back = (f"{value:.1f} s" if value is not None else "never" for value in _figures(seen))
    yield f"* All {MOST} processes after {grown}; the last job ended after {finished}; {LEAST} processes {back} later."
    yield f"* Steps: {steps}. No job was interrupted: each was completed at its first try."
    yield from (f"* WRONG: {sentence}" for sentence in seen.wrong)


def _figures(seen: Sized) -> tuple[float | None, float | None, float | None]:
    return seen.grown, seen.finished, seen.back
