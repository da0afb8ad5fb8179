"""A process that imports, and forks for each order. tests/preloaded.py starts it, and tells it what to import."""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

#: A process' id, then the status that it ended with, as ``Popen.returncode`` has it.
CODE: Final = struct.Struct("i")


def fork_for(modules: Sequence[str]) -> None:
    """Fork for each order that comes by stdin, and tell what becomes of it. Returns when a child has ended, in it."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            # The process itself will say it, to the test that started it.
            print(f"{name}: {error!r}", file=sys.stderr)
        if name.endswith(".__main__"):
            sys.modules.pop(name, None)
    gc.freeze()
    orders = socket.socket(fileno=os.dup(0))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
        for pid in list(children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _tell(children.pop(pid), os.waitstatus_to_exitcode(status), last=True)
        if orders not in ready:
            continue
        message, files, _, _ = socket.recv_fds(orders, 1 << 20, 3)
        if not message:
            os._exit(0)
        out, err, told = files
        if pid := os.fork():
            os.close(out)
            os.close(err)
            _tell(told, pid)
            children[pid] = told
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        orders.close()
        for each in (woken, wake, out, err, told, *children.values()):
            os.close(each)
        return _become(json.loads(message))


def _tell(told: int, value: int, *, last: bool = False) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(told, CODE.pack(value))
    if last:
        os.close(told)


def _become(order: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    os.chdir(order["cwd"])
    argv = order["argv"]
    if argv[1:2] == ["-m"]:
        sys.argv, sys.path[0] = argv[2:], order["cwd"]
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = argv, str(Path(argv[0]).parent)
        runpy.run_path(argv[0], run_name="__main__")
