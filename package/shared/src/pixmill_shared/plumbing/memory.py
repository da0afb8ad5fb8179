"""How much memory the processes of a worker take: beyond one bound they are replaced, beyond another nothing is given,
and what a large job leaves behind goes back.

The second makes work that needs too much a failed job, where the kernel would have killed the process, and perhaps
another one than the one at fault.
"""

import contextlib
import ctypes
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from celery import signals

#: KiB that a process may grow by before it is asked to give back.
_GROWTH: Final = 32_768


def bound_memory(most: Callable[[], int], limit: Callable[[], int]) -> None:
    """Of the prefork children of the workers that this process may become; called when its app is imported.

    Both are asked when a worker starts and give KiB: of resident memory at the peak, after which a child is replaced
    by a fresh one, and of address space, 0 for as much as there is.
    """

    def replace_large_children(conf: Any, **_: Any) -> None:
        conf.worker_max_memory_per_child = most()

    def prepare_child(**_: Any) -> None:
        limit_address_space(limit() * 1024)
        signals.task_postrun.connect(GivingBack().after_task, weak=False)

    # Celery keeps weak references to receivers unless told otherwise.
    signals.celeryd_init.connect(replace_large_children, weak=False)
    signals.worker_process_init.connect(prepare_child, weak=False)


def limit_address_space(wanted: int) -> None:
    """Of this process, to so many bytes; 0: as much as there is."""
    now, allowed = resource.getrlimit(resource.RLIMIT_AS)
    if wanted and (now == resource.RLIM_INFINITY or wanted < now):
        # macOS refuses any.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (wanted, allowed))


class GivingBack:
    """glibc keeps what was freed below anything still in use: one large picture, and a process held 200 MiB for good.

    Asking costs a millisecond or two, so it is done only by a process that has grown. Elsewhere than on Linux with
    glibc nothing happens.
    """

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._kept = resident()

    def after_task(self, **_: Any) -> None:
        if self._trim is not None and resident() > self._kept + _GROWTH:
            self._trim(0)
            self._kept = resident()


def resident() -> int:
    """KiB of this process that are in memory, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except OSError:
        return 0
