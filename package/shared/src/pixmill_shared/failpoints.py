"""Named places in the code at which a test can strike: to kill, to hang, to wait until something else was killed.

Without ``PIXMILL_FAILPOINTS`` a failpoint costs the look at one global. With it, a test arms ``NAME`` or ``NAME@KEY``
by a file of that name in the directory; the key is that of the work, as a job's id. The file is a JSON object:

``action``     one of ``ACTIONS``
``count``      strike at the n-th pass, 1 if not given; in whichever process that is
``keep``       true: strike at each pass, until the file is removed
``seconds``    of ``sleep`` and, at most, of ``pause``
``megabytes``  of ``allocate``: after so many the process is killed, as the kernel would

Each strike leaves a file in ``struck/`` before it acts: name, key, action, pid, parent and time.
"""

import contextlib
import ctypes
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

_STEP: Final = 16
"""Megabytes that ``allocate`` takes at a time."""
_FOR_EVER: Final = 3600.0

_directory: Path | None = None


def arm(directory: str) -> None:
    """From now on this process looks for files there; empty: it does not look."""
    global _directory  # noqa: PLW0603 - the one global that a failpoint looks at
    _directory = Path(directory) if directory else None


def failpoint(name: str, key: object = "") -> None:
    """Nothing, unless a test has armed it."""
    if _directory is not None:
        _pass(_directory, name, str(key))


def _pass(directory: Path, name: str, key: str) -> None:
    for file in (directory / f"{name}@{key}", directory / name):
        order = _taken(file)
        if order is not None:
            report = _reported(directory, order, name, key)
            ACTIONS[order["action"]](order, report)


def _taken(file: Path) -> dict[str, Any] | None:
    """The order in ``file``, if this pass is the one that it is for. A rename decides who of several takes it."""
    with contextlib.suppress(FileNotFoundError):
        order: dict[str, Any] = json.loads(file.read_text())
        if order.get("keep"):
            return order
        mine = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        file.rename(mine)
        order = json.loads(mine.read_text())
        order["count"] = order.get("count", 1) - 1
        if order["count"] < 1:
            mine.unlink()
            return order
        mine.write_text(json.dumps(order))
        mine.rename(file)
    return None


def _reported(directory: Path, order: dict[str, Any], name: str, key: str) -> Path:
    report = directory / "struck" / f"{time.time_ns()}-{os.getpid()}-{threading.get_ident()}"
    report.parent.mkdir(exist_ok=True)
    seen = {"name": name, "key": key, "action": order["action"], "at": time.time()}
    draft = directory / f".{report.name}"
    draft.write_text(json.dumps({**seen, "pid": os.getpid(), "parent": os.getppid()}))
    draft.rename(report)
    return report


def _kill(_order: dict[str, Any], _report: Path) -> NoReturn:
    _end(os.getpid())


def _kill_parent(_order: dict[str, Any], _report: Path) -> NoReturn:
    _end(os.getppid())


def _end(pid: int) -> NoReturn:
    os.kill(pid, signal.SIGKILL)
    # A child goes with its parent; until the signal has come, nothing more may be done.
    while True:
        time.sleep(1)


def _segfault(_order: dict[str, Any], _report: Path) -> None:
    ctypes.string_at(0)


def _allocate(order: dict[str, Any], _report: Path) -> None:
    held: list[bytearray] = []
    most = order.get("megabytes")
    while most is None or len(held) * _STEP < most:
        # Not zeroes: pages that were never written take no memory.
        held.append(bytearray(b"\xff") * (_STEP << 20))
    _end(os.getpid())


def _sleep(order: dict[str, Any], _report: Path) -> None:
    # What tells a task that its time is over does not reach it: only a kill does.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGALRM})
    time.sleep(order.get("seconds", _FOR_EVER))


def _pause(order: dict[str, Any], report: Path) -> None:
    until = time.monotonic() + order.get("seconds", 60)
    while report.exists() and time.monotonic() < until:
        time.sleep(0.01)


ACTIONS: Final[dict[str, Callable[[dict[str, Any], Path], None]]] = {
    "kill": _kill,
    "kill-parent": _kill_parent,
    "segfault": _segfault,
    "allocate": _allocate,
    "sleep": _sleep,
    # Until the test has removed the report.
    "pause": _pause,
}
