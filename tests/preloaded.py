"""Processes of pixmill that need not import anything: forked from one that did so once a session, for all of them.

A start of its own costs a process two seconds of processor, nearly all of it imports, and tests start hundreds. Forked,
it has its own environment, arguments, directory and output, runs the same ``__main__``, and ends as any process does.
What `pixmill up` and the containers start, starts as it does at users': tests/e2e, local_stack, containers.
"""

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

from pixmill.local import stack
from tests.nursery import CODE

#: As the local stack does: the celery command then imports neither shells nor Flower, a third of its start.
LEAN: Final = Path(stack.__file__).with_name("lean")
BIN: Final = Path(sys.executable).parent
#: By command. No ``celery_app`` of a service is here: importing one changes what all workers of the process do.
PRELOADED: Final = {
    "pixmill_api": ("pixmill_api.__main__",),
    "pixmill_shared.dispatcher": ("pixmill_shared.dispatcher.__main__",),
    "celery": (
        "celery.bin.celery",
        "celery.apps.worker",
        "celery.apps.beat",
        "celery.concurrency.prefork",
        "celery.concurrency.thread",
        "pixmill_shared.celery_app",
        "pixmill_shared.runtime",
        "pixmill_imaging.service.fetch",
        "pixmill_imaging.service.finish",
        "pixmill_notifier.wiring",
        "pixmill_notifier.service.deliver",
        "pixmill_notifier.service.desk",
    ),
}


class Forked:
    """As much of a ``subprocess.Popen`` as tests use; its parent is the process that it was forked from."""

    def __init__(self, status: int) -> None:
        self.returncode: int | None = None
        self._status = status
        self.pid = self._read(None)
        assert self.pid is not None

    def poll(self) -> int | None:
        return self._read(0) if self.returncode is None else self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None and self._read(deadline and max(0, deadline - time.monotonic())) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # It may have ended since, and its parent knows already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        """The first number is the process' id, the second is its status."""
        if not select.select([self._status], [], [], timeout)[0]:
            return None
        data = os.read(self._status, CODE.size)
        if not data:
            raise AssertionError("the process that starts others has ended")
        (value,) = CODE.unpack(data)
        if hasattr(self, "pid"):
            self.returncode = value
            os.close(self._status)
        return int(value)


def start(
    argv: list[str],
    environment: dict[str, str],
    out: IO[bytes],
    cwd: Path | None = None,
    *,
    err: IO[bytes] | None = None,
) -> Any:
    """Errors go to ``out`` too, if not told otherwise. Forked, unless it is a command of others', or what it
    imports is to be told something.
    """
    mine = {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_", "REMAP_"))}
    mine.pop("PYTHONUNBUFFERED", None)
    kind = _kind(argv)
    if kind is None or mine not in ({}, {"PYTHONPATH": str(LEAN)}):
        return subprocess.Popen(argv, env=environment, stdout=out, stderr=err or out, cwd=cwd)
    order = {"argv": argv, "environment": environment, "cwd": str(cwd or Path.cwd())}
    status, told = os.pipe()
    try:
        socket.send_fds(_nursery(kind), [json.dumps(order).encode()], [out.fileno(), (err or out).fileno(), told])
    finally:
        os.close(told)
    return Forked(status)


def _kind(argv: list[str]) -> str | None:
    if argv[0] == str(BIN / "celery"):
        return "celery"
    return argv[2] if argv[1:2] == ["-m"] and argv[2] in PRELOADED else None


@functools.cache
def _nursery(kind: str) -> socket.socket:
    """The process that has imported what those of a kind need; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = {"PYTHONPATH": str(LEAN)} if kind == "celery" else {}
    command = [sys.executable, "-u", "-c", f"from tests.nursery import fork_for; fork_for({PRELOADED[kind]!r})"]
    process = subprocess.Popen(
        command, stdin=theirs, cwd=Path(__file__).parents[1], env={"PATH": os.environ.get("PATH", ""), **path}
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(20)

    atexit.register(end)
    return ours
