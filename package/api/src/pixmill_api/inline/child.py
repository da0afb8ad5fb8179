"""``python -m pixmill_api.inline.child FD``: does one task after the other for the process at the socket's other end.

What it decodes may make it crash, hang or grow: it is the one that is lost then, and it has no key to lose. It ends
with the socket, so that no child outlives its parent, however that ended.
"""

import json
import os
import resource
import signal
import socket
import sys
import threading
from queue import SimpleQueue
from typing import IO, Any, Final

from pixmill_shared.observability.logs import configure_logging
from pixmill_shared.plumbing.inline import InlineServices, load_services, run_task, soft_time_limit, work_in
from pixmill_shared.plumbing.memory import GivingBack, limit_address_space
from pixmill_shared.runtime import start_runtime
from pixmill_shared.settings.work import TaskLimitSettings

MOST_TASKS: Final = 1_000
"""After so many the child is replaced."""


def main() -> None:
    """Until the socket is closed."""
    # A terminal's Ctrl-C is sent to children too; when this one ends is its parent's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logging("inline")
    with socket.socket(fileno=int(sys.argv[1])) as channel, channel.makefile("rwb") as lines:
        orders: SimpleQueue[dict[str, Any]] = SimpleQueue()
        reader = threading.Thread(target=_read, args=(lines, orders), name="orders", daemon=True)
        reader.start()
        start_runtime(worker_name=orders.get()["worker_name"])
        services = load_services()
        bounds = [service.memory() for service in services.found.values() if service.children and service.memory]
        for service in services.found.values():
            if service.children:
                service.preload()
        limit_address_space(max((bound.limit for bound in bounds), default=0) * 1024)
        _answer(channel, {"ready": True})
        _serve(channel, orders, services, min((bound.most for bound in bounds), default=sys.maxsize))
        reader.join()


def _serve(
    channel: socket.socket, orders: "SimpleQueue[dict[str, Any]]", services: InlineServices, most_memory: int
) -> None:
    giving_back, soft = GivingBack(), TaskLimitSettings.load().soft
    for number in range(1, MOST_TASKS + 1):
        order = orders.get()
        task = services.in_children[order["task"]]
        work = work_in(task, order["payload"], order["task_id"])
        with soft_time_limit(max(soft, work.longest if work is not None else 0)):
            done = run_task(task, order["payload"], order["task_id"])
        giving_back.after_task()
        last = number == MOST_TASKS or _peak() > most_memory
        _answer(channel, {"done": done, "last": last})
        if last:
            return


def _read(lines: IO[bytes], orders: "SimpleQueue[dict[str, Any]]") -> None:
    for line in lines:
        orders.put(json.loads(line))
    # Whatever runs is nobody's any more: its row is claimed again, or was handed back.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _answer(channel: socket.socket, answer: dict[str, Any]) -> None:
    channel.sendall(json.dumps(answer).encode() + b"\n")


def _peak() -> int:
    """KiB that this process has had in memory at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


if __name__ == "__main__":
    main()
