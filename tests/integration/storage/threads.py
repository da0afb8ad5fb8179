"""The threads of a process, by the names that the kernel has of them."""

import contextlib
import sys
from pathlib import Path


def thread_names(pid: int) -> list[str]:
    """Sorted; none where there is no /proc."""
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir() if sys.platform == "linux" else ():
        # One that ended since it was listed.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append((task / "comm").read_text().strip())
    return sorted(found)
