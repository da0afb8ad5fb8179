"""How much memory the processes of a worker may take: beyond the one bound they are replaced, beyond the other nothing
is given.

The second makes work that needs too much a failed job, where the kernel would have killed the process, and perhaps
another one than the one at fault.
"""

import contextlib
import resource
from collections.abc import Callable
from typing import Any

from celery import signals


def bound_memory(most: Callable[[], int], limit: Callable[[], int]) -> None:
    """Of the prefork children of the workers that this process may become; called when its app is imported.

    Both are asked when a worker starts and give KiB: of resident memory at the peak, after which a child is replaced
    by a fresh one, and of address space, 0 for as much as there is.
    """

    def replace_large_children(conf: Any, **_: Any) -> None:
        conf.worker_max_memory_per_child = most()

    def limit_address_space(**_: Any) -> None:
        wanted = limit() * 1024
        now, allowed = resource.getrlimit(resource.RLIMIT_AS)
        if wanted and (now == resource.RLIM_INFINITY or wanted < now):
            # macOS refuses any.
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_AS, (wanted, allowed))

    # Celery keeps weak references to receivers unless told otherwise.
    signals.celeryd_init.connect(replace_large_children, weak=False)
    signals.worker_process_init.connect(limit_address_space, weak=False)
