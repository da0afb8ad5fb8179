"""How busy the machine is, or the container: whatever bounds this process first."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

_CGROUP: Final = Path("/sys/fs/cgroup")


class Machine:
    """``group``: the directory of this process' control group (version 2), which need not be there."""

    def __init__(self, group: Path = _CGROUP, clock: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._clock = clock
        self._used: tuple[float, float] | None = None
        psutil.cpu_percent(None)  # the first call has nothing to compare with

    def cpu(self) -> float:
        """Percent since the last call, of what this process may use."""
        cores = self._cores()
        used = self._cpu_seconds()
        if cores is None or used is None:
            return float(psutil.cpu_percent(None))
        before, self._used = self._used, (self._clock(), used)
        if before is None or self._used[0] <= before[0]:
            return 0.0
        return 100 * (used - before[1]) / (self._used[0] - before[0]) / cores

    def memory(self) -> float:
        """Percent of what the machine or the group has; the fuller one."""
        whole = float(psutil.virtual_memory().percent)
        most, used = self._number("memory.max"), self._number("memory.current")
        if most is None or used is None:
            return whole
        # Pages of files that were read are given back when they are needed.
        return max(whole, 100 * (used - min(self._stat("memory.stat", "inactive_file") or 0, used)) / most)

    def _cores(self) -> float | None:
        """None: no less than the machine has."""
        words = self._words("cpu.max")
        if len(words) != 2 or words[0] == "max":
            return None
        return float(words[0]) / float(words[1])

    def _cpu_seconds(self) -> float | None:
        found = self._stat("cpu.stat", "usage_usec")
        return None if found is None else found / 1e6

    def _number(self, name: str) -> float | None:
        words = self._words(name)
        return float(words[0]) if words and words[0] != "max" else None

    def _stat(self, name: str, key: str) -> float | None:
        words = self._words(name)
        return float(words[words.index(key) + 1]) if key in words else None

    def _words(self, name: str) -> list[str]:
        try:
            return (self._group / name).read_text().split()
        except OSError:
            return []
