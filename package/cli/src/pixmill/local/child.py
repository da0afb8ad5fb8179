"""One running process: started in a session of its own, its output taken line by line, stopped with a grace."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from pixmill.local.logs import LogSink
from pixmill.local.privileges import ServerUser

_LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
_POLL_SECONDS: Final = 0.05
_LONGEST_LINE: Final = 64 * 1024
_TAIL_LINES: Final = 12


@dataclass(frozen=True)
class ProcessSpec:
    """What to run. ``argv[0]`` is an absolute path; times are in seconds.

    ``ready`` is asked until it says yes; None means that the process does one job and ends with 0. It is
    sent ``stop_signal``, and killed with its group after ``grace``. ``orphan_signal`` is what the kernel sends it
    when the supervisor itself is killed (Linux). ``max_deaths`` within the policy's window are too many.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: Callable[[], Awaitable[bool]] | None
    user: ServerUser | None = None
    grace: float = 30
    start_timeout: float = 90
    max_deaths: int = 4
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL


class Child:
    """A started process. Start it from a thread that lives as long: Linux takes the end of the thread that
    started a process for the end of its parent."""

    def __init__(self, spec: ProcessSpec, sink: LogSink) -> None:
        self.spec = spec
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._sink = sink
        self._process = subprocess.Popen(
            _launch_argv(spec),
            cwd=spec.cwd,
            env=dict(spec.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._pump = threading.Thread(target=self._copy_output, name=f"log {spec.name}", daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    async def exited(self) -> int:
        """Wait for its end and for what is left of its group; the exit code is negative for a signal."""
        while self.is_running():  # noqa: ASYNC110 - a process has no event to wait for on every system
            await asyncio.sleep(_POLL_SECONDS)
        self.kill()
        await asyncio.to_thread(self._pump.join, 1)
        return self._process.returncode

    async def stop(self, grace: float) -> None:
        """Ask it to end; kill it and its group after ``grace`` seconds, and say so."""
        if self.is_running():
            self._process.send_signal(self.spec.stop_signal)
        try:
            async with asyncio.timeout(grace):
                await self.exited()
        except TimeoutError:
            # Who stood still himself finds the time over, and the process may have ended in it.
            if self.is_running():
                self._sink.note(f"{self.spec.name} did not stop within {grace:g} s: killed")
            self.kill()
            await self.exited()

    def kill(self) -> None:
        """SIGKILL to every process of its group that is left."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left; macOS says the latter of zombies
            return

    def _copy_output(self) -> None:
        stream: IO[bytes] | None = self._process.stdout
        if stream is None:
            return
        with stream:
            while raw := stream.readline(_LONGEST_LINE):
                text = raw.decode(errors="replace").rstrip()
                if text:
                    self.tail.append(text)
                    self._sink.line(self.spec.name, text)


def _launch_argv(spec: ProcessSpec) -> list[str]:
    uid, gid = (-1, -1) if spec.user is None else (spec.user.uid, spec.user.gid)
    identity = [str(int(spec.orphan_signal)), str(os.getpid()), str(uid), str(gid)]
    return [sys.executable, "-I", "-S", _LAUNCH, *identity, *spec.argv]


def describe_exit(code: int) -> str:
    """For a person: ``exit code 3``, ``SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
