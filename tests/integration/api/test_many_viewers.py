"""Two hundred viewers of one process; `make bench-streams` has a thousand."""

import asyncio
import time

from tests.integration.api.crowd import Crowd, cpu_seconds, until
from tests.integration.api.running import Api
from tests.integration.api.streaming import complete, nobody_watches, submitted, viewers

VIEWERS = 200
MIB = 1024 * 1024


def test_two_hundred_viewers_hear_of_the_end_and_leave_nothing_behind(api: Api) -> None:
    jobs = [submitted(api) for _ in range(4)]
    watched, alone = jobs[:3], jobs[3]

    async def watch() -> tuple[float, float]:
        crowd = Crowd(api.url)
        await crowd.gather(watched, VIEWERS)
        assert await asyncio.to_thread(viewers, api) == VIEWERS
        # Looking at rows each second costs the same however many watch a job.
        began, idle = time.monotonic(), cpu_seconds(api.process.pid)
        await asyncio.sleep(3)
        idle = (cpu_seconds(api.process.pid) - idle) / (time.monotonic() - began)
        waits = []
        for job_id in watched:
            committed = await asyncio.to_thread(complete, api, job_id)
            await until(lambda job_id=job_id: all(w.lost.is_set() for w in crowd.watchers[job_id]), 60)  # type: ignore[misc]
            waits.append(max(w.ended_at or float("inf") for w in crowd.watchers[job_id]) - committed)
        for watcher in crowd.everybody():
            told = {name: count for name, count in watcher.counts.items() if name != "job.progress"}
            assert told == {"snapshot": 1, "job.output": 2, "job.completed": 1}
        return min(waits), idle

    before = api.resident_bytes()
    wait, idle = asyncio.run(watch())
    assert wait < 5
    assert idle < 0.5
    assert api.resident_bytes() - before < 60 * MIB
    nobody_watches(api)
    assert api.client.get(f"/api/v1/jobs/{alone}").json()["status"] == "queued"
