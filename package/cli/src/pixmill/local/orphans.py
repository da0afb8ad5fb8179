"""Servers that a killed `pixmill up` left behind, and process ids that have become somebody else's since.

Asked only by who holds the data directory's lock, so a server that still runs on it belongs to nobody. The
kernel ends them on Linux; elsewhere they go on, and a second one on the same files would damage them.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

_GRACE_SECONDS = 30.0
_POLL_SECONDS = 0.05


def end_orphan(pid_file: Path, marks: tuple[str, ...], stop_signal: signal.Signals) -> None:
    """End the server whose id is in the first line of ``pid_file``, if one of ``marks`` is in its command line.

    When the id is that of something else the file is removed: Postgres would take any process of its user with
    that id for a server that runs, and in containers, where ids are small, they come again soon.
    """
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):  # there is none, or it was cut short: the servers handle that themselves
        return
    command = command_of(pid)
    if not any(mark in command for mark in marks):
        pid_file.unlink(missing_ok=True)
        return
    for number, patience in ((stop_signal, _GRACE_SECONDS), (signal.SIGKILL, 1.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if _gone(pid, patience):
            return


def command_of(pid: int) -> str:
    """The command line of a process; empty when there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    argv = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while command_of(pid):  # empty for a zombie too
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
