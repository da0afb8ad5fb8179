"""Very many viewers of event streams, from one event loop: what they cost the API, and how soon the last one hears."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_TICKS = os.sysconf("SC_CLK_TCK")
_AT_ONCE = 50


class Watcher(asyncio.Protocol):
    """One connection. Counts what comes by its name; ``ended_at`` by the monotonic clock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""
        self.counts: dict[str, int] = {}
        self.ended_at: float | None = None
        self.lost = asyncio.Event()
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"GET {self._path} HTTP/1.1\r\nHost: crowd\r\nConnection: close\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"event: "):
                name = line[7:].decode()
                self.counts[name] = self.counts.get(name, 0) + 1
                if name in ("job.completed", "job.failed"):
                    self.ended_at = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@dataclass
class Crowd:
    """``watchers`` by the job that they watch."""

    url: str
    watchers: dict[str, list[Watcher]] = field(default_factory=dict)

    def everybody(self) -> list[Watcher]:
        return [watcher for of_job in self.watchers.values() for watcher in of_job]

    async def gather(self, job_ids: Sequence[str], count: int) -> None:
        """``count`` viewers, evenly over the jobs; all have had their snapshot."""
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        for first in range(0, count, _AT_ONCE):
            wanted = [job_ids[number % len(job_ids)] for number in range(first, min(first + _AT_ONCE, count))]
            made = [
                loop.create_connection(
                    lambda job_id=job_id: Watcher(f"/api/v1/jobs/{job_id}/events"),  # type: ignore[misc]
                    parts.hostname,
                    parts.port,
                )
                for job_id in wanted
            ]
            for job_id, (_, watcher) in zip(wanted, await asyncio.gather(*made), strict=True):
                self.watchers.setdefault(job_id, []).append(watcher)
            await until(lambda: all("snapshot" in watcher.counts for watcher in self.everybody()), 120)

    async def leave(self) -> None:
        for watcher in self.everybody():
            if watcher.transport is not None:
                watcher.transport.close()
        for watcher in self.everybody():
            with suppress(TimeoutError):
                await asyncio.wait_for(watcher.lost.wait(), 10)


async def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
