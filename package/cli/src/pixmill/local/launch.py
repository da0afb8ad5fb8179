"""Become another program: give up root, ask to be told when the parent dies, exec.

Run as a script by `child.py`, isolated and without site-packages, which takes 15 ms. Doing this between fork and
exec of a process with threads could dead-lock, and the request must come after the change of user, which cancels it.

    launch.py ORPHAN_SIGNAL PARENT UID GID PROGRAM ARGUMENT…      (UID -1: stay who we are)
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns: the process is the program then, or has ended with a message."""
    orphan_signal, parent, uid, gid = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5:]
    if uid != -1:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, orphan_signal)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606 - it is all that this file is for
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
