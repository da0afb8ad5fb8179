"""Archives of a batch: make bench-archives [ARGS="--jobs 1000 --bytes 200000 --rounds 3"]

``outputs.zip`` streamed to a client on this machine: MB a second, CPU of the API, its memory at most; beside it the
files read one after the other as they lie there, which is what could be had. Then the same built once by a worker.
"""

import argparse
import hashlib
import os
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.integration.api.filled import batch, jobs
from tests.integration.api.running import Api, running_api
from tests.integration.shared.processes import Fleet, environment_of, wait_until
from tests.servers import running_servers

_TICKS = os.sysconf("SC_CLK_TCK")
MB = 1e6


class Watched:
    """Memory of a process, at most, and CPU seconds, within the block."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def __enter__(self) -> "Watched":
        self.before = self.resident()
        self._cpu = self._ticks()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.cpu = (self._ticks() - self._cpu) / _TICKS

    def resident(self) -> int:
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, self.resident())


def read_files(storage: Path) -> float:
    """MB a second of reading all objects one after the other, hashed as the archive's are."""
    began, total = time.monotonic(), 0
    for path in (storage / "renditions").rglob("*.png"):
        data = path.read_bytes()
        zlib.crc32(data)
        total += len(data)
    return total / MB / (time.monotonic() - began)


def stream(api: Api, batch_id: str, target: Path) -> tuple[float, float, Watched]:
    """MB a second, seconds to the first byte, and what the API took."""
    with Watched(api.process.pid) as watched, target.open("wb") as file:
        began, first, total = time.monotonic(), 0.0, 0
        with api.client.stream("GET", f"/api/v1/batches/{batch_id}/outputs.zip") as answer:
            answer.raise_for_status()
            for part in answer.iter_raw(1 << 20):
                first = first or time.monotonic() - began
                total += len(part)
                file.write(part)
        seconds = time.monotonic() - began
    return total / MB / seconds, first, watched


def build(api: Api, batch_id: str) -> tuple[float, str]:
    """MB a second from the request to the archive, and its hash."""
    began = time.monotonic()
    url = f"/api/v1/batches/{batch_id}/archive"
    api.client.post(url).raise_for_status()
    wait_until(lambda: api.client.get(url).status_code == 200, 600, "the archive")
    found = api.client.get(url).json()
    return found["bytes"] / MB / (time.monotonic() - began), found["sha256"]


@contextmanager
def running(directory: Path) -> Iterator[tuple[Api, Fleet]]:
    with running_servers(directory / "servers") as servers:
        url = servers.new_database()
        environment = environment_of(servers.stack.environment, url, directory) | {
            "PIXMILL_ENV": "test",
            "PIXMILL_SECRET_KEY": "a key for tests only, 0123456789",
        }
        fleet = Fleet(directory, environment)
        try:
            with running_api(url, directory / "objects", REDIS_URL=servers.redis_url) as api:
                yield api, fleet
        finally:
            fleet.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--bytes", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as (api, fleet):
        batch_id = batch(api, wanted.jobs)
        jobs(api, wanted.jobs, {"web": os.urandom(wanted.bytes)}, batch_id=batch_id)
        target, speeds, files = Path(name) / "outputs.zip", [], []
        for _ in range(wanted.rounds):
            files.append(read_files(api.storage))
            speed, first, watched = stream(api, batch_id, target)
            speeds.append(speed)
            grown = (watched.most - watched.before) / MB
            print(
                f"streamed {speed:.0f} MB/s, first byte after {first * 1000:.0f} ms, CPU {watched.cpu:.2f} s, "
                f"memory {watched.before / MB:.0f} + {grown:.0f} MB; files alone {files[-1]:.0f} MB/s"
            )
        print(f"streamed / files alone: {median(speeds) / median(files):.2f}")
        with zipfile.ZipFile(target) as archive:
            assert archive.testzip() is None
            print(f"{len(archive.namelist())} files, {target.stat().st_size / MB:.0f} MB")
        fleet.worker("worker", "pixmill_api.celery_app", "-Q", "api", "-c", "1").wait_ready(120)
        fleet.dispatcher().wait_ready(120)
        speed, sha256 = build(api, batch_id)
        (built,) = (api.storage / "archives").rglob("*.zip")
        with built.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
        print(f"built {speed:.0f} MB/s")


if __name__ == "__main__":
    main()
