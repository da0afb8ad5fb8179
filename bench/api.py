"""The HTTP API as one process: make bench-api [ARGS="--rounds 5 --seconds 5"]

POST /jobs over 8 connections against an API that publishes within the request (``publishing_api.py``), in turns:
requests a second and CPU a request. Then uploads of 4 MB, and what both leave of the process' memory.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
from bench.machine import Stolen
from tests.integration.api.running import free_port, running_api
from tests.servers import Servers, running_servers

from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer

CONNECTIONS = 8
BODY = (
    b'{"source": {"url": "https://example.com/photo.jpg"}, "recipe": {"outputs": [{"name": "web", "operations": '
    b'[{"op": "resize", "width": 800, "height": 600}], "format": "webp"}]}, "metadata": {"order": "A-17"}}'
)
UPLOAD_BYTES = 4_000_000
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """A process that answers ``request`` at ``port``."""

    name: str
    port: int
    pid: int
    request: bytes

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> float:
        """Megabytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@dataclass(frozen=True)
class Round:
    rate: float
    cpu_ms: float


async def _send(target: Target, until: float, expected: bytes) -> int:
    """How many answers one connection got."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    answers = 0
    while time.perf_counter() < until:
        writer.write(target.request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(expected), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        answers += 1
    writer.close()
    return answers


async def _load(target: Target, seconds: float, expected: bytes, connections: int) -> int:
    until = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(_send(target, until, expected) for _ in range(connections))))


def measure(target: Target, seconds: float, expected: bytes = b"HTTP/1.1 202", connections: int = CONNECTIONS) -> Round:
    cpu, began = target.cpu(), time.perf_counter()
    answers = asyncio.run(_load(target, seconds, expected, connections))
    took = time.perf_counter() - began
    return Round(answers / took, (target.cpu() - cpu) / answers * 1000)


def request(path: str, body: bytes, content_type: str, token: str = "") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def publishing(servers: Servers) -> Iterator[Target]:
    """The API that we compare with."""
    port = free_port()
    url = servers.new_database().replace("+psycopg2", "")
    environment = {"PATH": os.environ.get("PATH", ""), "DATABASE_URL": url, "REDIS_URL": servers.redis_url}
    process = subprocess.Popen([sys.executable, "-m", "bench.publishing_api", str(port)], env=environment)
    try:
        _await_answer(port)
        yield Target("publish in the request", port, process.pid, request("/api/v1/jobs", BODY, "application/json"))
    finally:
        process.terminate()
        process.wait(20)


def _await_answer(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            httpx.get(f"http://127.0.0.1:{port}/openapi.json")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("it does not answer")


@contextmanager
def pixmill(servers: Servers, directory: Path) -> Iterator[tuple[Target, Target]]:
    """The API with keys, as it is deployed: POST /jobs, and uploads."""
    url = servers.new_database()
    database = Database(url)
    secret = "a key for benchmarks only, 0123456789"
    with database.session_scope() as session:
        token = create_key(session, Sealer([secret]), project="bench", name="bench").token
    database.dispose()
    changes = {"PIXMILL_AUTH": "on", "PIXMILL_SECRET_KEY": secret, "REDIS_URL": servers.redis_url}
    with running_api(url, directory / "objects", PIXMILL_RATE_LIMIT="0", **changes) as api:
        port, pid = int(api.url.rpartition(":")[2]), api.process.pid
        upload = request("/api/v1/uploads", os.urandom(UPLOAD_BYTES), "image/jpeg", token)
        yield (
            Target("pixmill", port, pid, request("/api/v1/jobs", BODY, "application/json", token)),
            Target("upload of 4 MB", port, pid, upload),
        )


def compare(servers: Servers, directory: Path, rounds: int, seconds: float) -> None:
    ratios: list[float] = []
    with publishing(servers) as baseline, pixmill(servers, directory) as (jobs, uploads):
        for target in (baseline, jobs):
            measure(target, 2)
        before = jobs.resident()
        for number in range(rounds):
            stolen = Stolen()
            theirs, ours, again = measure(baseline, seconds), measure(jobs, seconds), measure(baseline, seconds)
            rate = (theirs.rate + again.rate) / 2
            ratios.append(ours.rate / rate)
            print(
                f"round {number + 1}: POST /jobs {ours.rate:.0f}/s, {ours.cpu_ms:.2f} ms CPU; publishing in the request"
                f" {rate:.0f}/s, {(theirs.cpu_ms + again.cpu_ms) / 2:.2f} ms CPU; ratio {ratios[-1]:.2f}; {stolen}",
                flush=True,
            )
        print(f"POST /jobs at {CONNECTIONS} connections / publishing in the request: {median(ratios):.2f}")
        between = jobs.resident()
        sent = [measure(uploads, seconds, b"HTTP/1.1 201", 4) for _ in range(rounds)]
        print(
            f"uploads of 4 MB: {median(each.rate for each in sent) * UPLOAD_BYTES / 1e6:.0f} MB/s, "
            f"{median(each.cpu_ms for each in sent):.1f} ms CPU each"
        )
        print(
            f"resident memory, MB: {before:.0f} at first, {between:.0f} after jobs, {jobs.resident():.0f} after uploads"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, running_servers(Path(place)) as servers:
        compare(servers, Path(place), options.rounds, options.seconds)


if __name__ == "__main__":
    main()
