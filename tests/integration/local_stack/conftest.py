"""Directories that a server which runs as nobody can enter, and processes to supervise."""

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pixmill.local.child import ProcessSpec
from pixmill.local.logs import LogSink
from pixmill.local.ports import choose_free
from pixmill.local.probes import http_ready

FAKE = Path(__file__).with_name("fake_process.py")


@contextmanager
def new_place() -> Iterator[Path]:
    """Not pytest's own: that one is 0700 root, and root's servers are not root."""
    directory = Path(tempfile.mkdtemp(prefix="pixmill-test-"))
    directory.chmod(0o755)
    yield directory
    # What was killed with its parent may be ending still, and take away its own files.
    assert eventually(lambda: not shutil.rmtree(directory, ignore_errors=True) and not directory.exists())


@pytest.fixture
def place() -> Iterator[Path]:
    with new_place() as directory:
        yield directory


@dataclass
class Fakes:
    """Makes specs of fake processes, and reads what these wrote about themselves."""

    directory: Path
    log: io.StringIO = field(default_factory=io.StringIO)

    @property
    def sink(self) -> LogSink:
        return LogSink(self.log)

    def spec(self, name: str, *options: str, grace: float = 60, start_timeout: float = 90) -> ProcessSpec:
        port = choose_free("127.0.0.1")
        argv = (sys.executable, "-S", str(FAKE), str(self.directory / "journal"), name, str(port), *options)
        return ProcessSpec(
            name,
            argv,
            {},
            self.directory,
            lambda: http_ready("127.0.0.1", port, "/health/ready"),
            grace=grace,
            start_timeout=start_timeout,
        )

    def job(self, name: str, code: str) -> ProcessSpec:
        """A process with one job."""
        return ProcessSpec(name, (sys.executable, "-S", "-c", code), {}, self.directory, ready=None)

    def events(self, *kinds: str) -> list[tuple[str, str, int]]:
        """What the processes wrote of themselves; nothing where none came as far as its first line."""
        journal = self.directory / "journal"
        lines = journal.read_text().splitlines() if journal.exists() else []
        parsed = [(kind, name, int(pid)) for kind, name, pid in map(str.split, lines)]
        return [event for event in parsed if not kinds or event[0] in kinds]

    def pids(self) -> set[int]:
        return {pid for _, _, pid in self.events("started", "grandchild")}


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    return Fakes(tmp_path)


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Does it become true within the time?"""
    deadline = time.monotonic() + seconds
    while True:
        # Taken first: who stood still past the deadline looks once more.
        late = time.monotonic() > deadline
        if condition():
            return True
        if late:
            return False
        time.sleep(0.02)
