"""Webhooks through a real dispatcher and notifier: make bench-deliveries [ARGS="--rounds 5 --seconds 20"]

First 1,000 webhooks of jobs that wait, to a receiver on this machine: how many a second, and what CPU one takes. Then
50 webhooks a second to it, alone and beside 50 a second to a receiver that hangs, in turns: the time from the commit to
the arrival, and what the dead neighbour does to its p99.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.machine import Stolen
from sqlalchemy import text
from tests.integration.shared.processes import Fleet, Running, environment_of, wait_until
from tests.servers import Servers, running_servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Endpoint, EndpointSecret
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.webhook_secrets import new_secret
from pixmill_shared.repositories import jobs, resending
from pixmill_shared.service.sealing import Sealer

RATE = 50
THREADS = 8
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Bench:
    """A stack with a receiver that answers and one that hangs."""

    database: Database
    fleet: Fleet
    log: Path
    alive: str
    dead: str
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1 << 40)))

    def endpoint(self, url: str) -> uuid.UUID:
        sealer = Sealer([self.fleet.environment["PIXMILL_SECRET_KEY"]])
        made = new_id()
        with self.database.session_scope() as session:
            session.add(Endpoint(id=made, project=f"p-{made}", url=url))
            session.flush()
            session.add(EndpointSecret(id=new_id(), endpoint_id=made, secret=sealer.seal(new_secret())))
        return made

    def finished_jobs(self, count: int) -> None:
        """Each with a webhook that waits."""
        for _ in range(count):
            with self.database.session_scope() as session:
                new = jobs.NewJob(
                    *("bench", Stage.RENDER, QueueName.IMAGING, 1),
                    source={"upload_id": "u"},
                    recipe={"outputs": []},
                    webhook_url=self.alive,
                )
                job_id = jobs.insert(session, new)
                job = jobs.claim(session, job_id, Stage.RENDER, "bench", 60)
                assert job is not None
                assert jobs.fail(session, job_id, job.fence, {"code": "too_large", "title": "t", "detail": "d"})

    def run(self, sql: str) -> None:
        with self.database.session_scope() as session:
            session.execute(text(sql))

    def steadily(self, endpoint: uuid.UUID, count: int) -> None:
        for _ in range(count):
            with self.database.session_scope() as session:
                resending.ping(session, endpoint, {"number": next(self.numbers)})

    def arrivals(self) -> list[tuple[float, int]]:
        whole = self.log.read_text().rpartition("\n")[0]
        return [(float(at), int(number)) for at, number in map(str.split, whole.splitlines())]

    def dispatcher(self) -> Running:
        running = self.fleet.dispatcher()
        running.wait_ready(120)
        return running

    def notifier(self) -> Running:
        options = ("-P", "threads", "-c", str(THREADS))
        running = self.fleet.worker("notifier", "pixmill_notifier.celery_app", *options)
        running.wait_ready(120)
        return running


def cpu(process: Running) -> float:
    """Seconds that it has had."""
    fields = Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def throughput(bench: Bench, count: int) -> None:
    bench.finished_jobs(count)
    bench.run("UPDATE deliveries SET run_at = now() + interval '1 hour'")
    dispatcher, notifier = bench.dispatcher(), bench.notifier()
    # What a process imports and connects to at its first tasks is no cost of a webhook.
    bench.steadily(bench.endpoint(bench.alive), 2 * RATE)
    wait_until(lambda: len(bench.arrivals()) >= 2 * RATE, 120, "the first webhooks")
    bench.log.write_text("")
    bench.run("UPDATE deliveries SET run_at = NULL WHERE status = 'queued'")
    began, stolen = (cpu(dispatcher), cpu(notifier)), Stolen()
    wait_until(lambda: len(bench.arrivals()) >= count, 300, "all webhooks")
    used = [after - before for before, after in zip(began, (cpu(dispatcher), cpu(notifier)), strict=True)]
    times = sorted(at for at, _ in bench.arrivals())
    rate = (count - 1) / (times[-1] - times[0])
    print(f"{count} webhooks that wait: {rate:.0f}/s; {stolen}")
    print(f"  CPU a webhook, ms: notifier {1000 * used[1] / count:.1f}, dispatcher {1000 * used[0] / count:.1f}")
    notifier.end()
    dispatcher.end()


def steady(bench: Bench, seconds: float, *, with_dead: bool) -> list[float]:
    """Milliseconds from commit to arrival at the receiver that answers."""
    targets = [bench.endpoint(bench.alive)]
    if with_dead:
        targets.append(bench.endpoint(bench.dead))
    committed: dict[int, float] = {}
    stolen = Stolen()
    began = time.monotonic()
    for turn in range(int(seconds * RATE)):
        for target in targets:
            number = next(bench.numbers)
            with bench.database.session_scope() as session:
                resending.ping(session, target, {"number": number})
            if target is targets[0]:
                committed[number] = time.time()
        time.sleep(max(0.0, began + (turn + 1) / RATE - time.monotonic()))
    behind = time.monotonic() - began - seconds
    wait_until(lambda: committed.keys() <= {number for _, number in bench.arrivals()}, 120, "the healthy receiver's")
    found = [(at - committed[number]) * 1000 for at, number in bench.arrivals() if number in committed]
    print(
        f"  {_shown(found)}{' beside a dead one' if with_dead else ' alone'}; load {behind:.1f} s behind; {stolen}",
        flush=True,
    )
    bench.run("DELETE FROM endpoints")
    bench.run("DELETE FROM receivers")
    return found


def neighbours(bench: Bench, rounds: int, seconds: float) -> None:
    dispatcher = bench.dispatcher()
    print(f"{RATE} webhooks a second, commit to arrival in ms:")
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(rounds):
        # A process a run: threads that still wait for the dead one would belong to the next.
        for into, with_dead in ((alone, False), (beside, True)):
            notifier = bench.notifier()
            steady(bench, 2, with_dead=False)
            into.extend(steady(bench, seconds, with_dead=with_dead))
            notifier.popen.kill()
            notifier.popen.wait(20)
    print(f"alone  {_shown(alone)}\nbeside {_shown(beside)}")
    print(f"p99 beside a dead one / alone: {_percentile(beside, 99) / _percentile(alone, 99):.2f}")
    dispatcher.end()


def _percentile(values: list[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def _shown(values: list[float]) -> str:
    return f"p50 {median(values):.0f}, p90 {_percentile(values, 90):.0f}, p99 {_percentile(values, 99):.0f}"


@contextmanager
def running(servers: Servers, directory: Path) -> Iterator[Bench]:
    log = directory / "arrivals"
    log.touch()
    command = [sys.executable, "-m", "bench.delivery_receivers", str(log)]
    receivers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert receivers.stdout is not None
    alive, dead = receivers.stdout.readline().split()
    environment = environment_of(servers.stack.environment, url := servers.new_database(), directory)
    fleet = Fleet(directory, {**environment, "PIXMILL_ENV": "test", "PIXMILL_EGRESS_ALLOW": "127.0.0.1"})
    database = Database(url)
    try:
        yield Bench(database, fleet, log, f"http://127.0.0.1:{alive}/", f"http://127.0.0.1:{dead}/")
    finally:
        fleet.stop()
        database.dispose()
        receivers.kill()
        receivers.wait(20)
        receivers.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", choices=("throughput", "neighbours"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, running_servers(Path(place)) as servers:
        for name in (options.only,) if options.only else ("throughput", "neighbours"):
            directory = Path(place) / name
            directory.mkdir()
            with running(servers, directory) as bench:
                if name == "throughput":
                    throughput(bench, options.count)
                else:
                    neighbours(bench, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
