"""Event streams of one API process: make bench-streams [ARGS="--viewers 1000 --jobs 300"]

How soon a viewer hears of a commit; what a thousand viewers cost in memory, in CPU while nothing happens and while
percentages come, and how soon the last of them hears; what a worker pays for publishing.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from tests.integration.api.crowd import Crowd, cpu_seconds, until
from tests.integration.api.running import Api, running_api
from tests.integration.api.streaming import made, submitted
from tests.servers import Servers, running_servers

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.progress.publisher import Publisher
from pixmill_shared.progress.reports import StageReport
from pixmill_shared.repositories import jobs

MIB = 1024 * 1024
IDLE = 5


def complete(database: Database, job_id: str) -> float:
    """When the commit began, by the monotonic clock."""
    with database.session_scope() as session:
        claim = jobs.claim(session, uuid.UUID(job_id), Stage.FETCH, "bench", 60)
        assert claim is not None
        rows = [made("web", 0), made("thumb", 1)]
        assert jobs.complete(session, claim, found={"width": 80}, sha256="1" * 64, made=rows) is not None
        return time.monotonic()


async def latency(api: Api, database: Database, count: int) -> list[float]:
    """Seconds from a commit to its viewer, one after the other on an idle system."""
    waits = []
    for _ in range(count):
        job_id = await asyncio.to_thread(submitted, api)
        crowd = Crowd(api.url)
        await crowd.gather([job_id], 1)
        (watcher,) = crowd.everybody()
        committed = await asyncio.to_thread(complete, database, job_id)
        await asyncio.wait_for(watcher.lost.wait(), 60)
        waits.append((watcher.ended_at or float("inf")) - committed)
    return waits


async def crowded(api: Api, servers: Servers, database: Database, viewers: int, job_count: int) -> None:
    """``viewers`` over ``job_count`` jobs, which then end one after the other."""
    ids = [await asyncio.to_thread(submitted, api) for _ in range(job_count)]
    pid, resident = api.process.pid, api.resident_bytes()
    crowd = Crowd(api.url)
    began, spent = time.monotonic(), cpu_seconds(pid)
    await crowd.gather(ids, viewers)
    print(f"{viewers} viewers of {job_count} jobs")
    print(f"  to connect all       {time.monotonic() - began:6.1f} s, CPU {cpu_seconds(pid) - spent:.1f} s")
    grown = (api.resident_bytes() - resident) / MIB
    print(f"  memory               {grown:6.1f} MiB more, {grown * 1024 / viewers:.0f} KiB each")
    print(f"  nothing happens      {await busy(pid, asyncio.sleep(IDLE)):6.1%} of a core")
    publisher = Publisher(servers.redis_url)
    print(f"  percentages, 2/s     {await busy(pid, percentages(publisher, ids)):6.1%} of a core")
    waits = []
    spent = cpu_seconds(pid)
    for job_id in ids:
        committed = await asyncio.to_thread(complete, database, job_id)
        watchers = crowd.watchers[job_id]
        await until(lambda watchers=watchers: all(w.lost.is_set() for w in watchers), 120)  # type: ignore[misc]
        waits.append(max(w.ended_at or float("inf") for w in watchers) - committed)
    told = sum(watcher.counts.get("job.completed", 0) for watcher in crowd.everybody())
    assert told == viewers, f"{viewers - told} viewers did not hear of the end"
    print(f"  commit to the last   {median(waits) * 1000:6.0f} ms median, {max(waits) * 1000:.0f} ms at most")
    print(f"  CPU to tell all      {cpu_seconds(pid) - spent:6.2f} s")
    print(f"  memory afterwards    {(api.resident_bytes() - resident) / MIB:6.1f} MiB more")


async def busy(pid: int, during: "asyncio.Future[None] | object") -> float:
    """Share of a core."""
    began, spent = time.monotonic(), cpu_seconds(pid)
    await during  # type: ignore[misc]
    return (cpu_seconds(pid) - spent) / (time.monotonic() - began)


async def percentages(publisher: Publisher, ids: list[str]) -> None:
    for step in range(2 * IDLE):
        for id in ids:
            message = f'{{"job":"{id}","batch":null,"project":"default","stage":"fetch","progress":{step}}}'
            publisher.publish(id, message)
        await asyncio.sleep(0.5)


def publishing(servers: Servers) -> None:
    """CPU of a worker: what a report costs that is sent, with its thread, and one that comes too soon."""
    job = jobs.ClaimedJob(*(uuid.uuid4(), "default", 1, 1, {}, None, None, {}, None, 1, None))
    publisher, count = Publisher(servers.redis_url), 2_000
    publisher.publish("x", "{}")
    time.sleep(0.5)

    def cpu(call: Iterator[object] | None) -> float:
        spent = time.process_time()
        for _ in range(count):
            if call is not None:
                next(call)
            time.sleep(0.001)
        return (time.process_time() - spent) / count

    def sent() -> Iterator[object]:
        while True:
            yield StageReport(publisher, job, Stage.RENDER)(50)

    nothing, each = cpu(None), cpu(sent())
    report = StageReport(publisher, job, Stage.RENDER)
    spent = time.process_time()
    for _ in range(100_000):
        report(50)
    early = (time.process_time() - spent) / 100_000
    print(
        f"publishing: {(each - nothing) * 1e6:.0f} us CPU a report that is sent, {early * 1e6:.2f} us one that is not"
    )


@contextmanager
def stack() -> Iterator[tuple[Servers, Api, Database]]:
    with tempfile.TemporaryDirectory() as directory, running_servers(Path(directory) / "servers") as servers:
        url = servers.new_database()
        with running_api(url, Path(directory) / "objects", REDIS_URL=servers.redis_url) as api:
            database = Database(url)
            try:
                yield servers, api, database
            finally:
                database.dispose()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=200, help="whose latency is measured")
    options = parser.parse_args()
    with stack() as (servers, api, database):
        publishing(servers)
        waits = sorted(asyncio.run(latency(api, database, options.jobs)))
        cuts = quantiles(waits, n=100)
        print(f"commit to one viewer: p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms, {len(waits)} jobs")
        for job_count in (1, 10, options.viewers):
            asyncio.run(crowded(api, servers, database, options.viewers, job_count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
