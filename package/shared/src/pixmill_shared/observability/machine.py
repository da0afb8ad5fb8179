"""How busy the machine is, or the container, or the unit: whatever bounds this process first."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pixmill_shared.observability.cgroups import LISTED, ROOT, Group, groups_of


class Machine:
    """``groups``: where control groups are, and ``listed`` the file that names those of this process; neither need be
    there."""

    def __init__(self, groups: Path = ROOT, listed: Path = LISTED, clock: Callable[[], float] = time.monotonic) -> None:
        self._cpu = groups_of("cpu", groups, listed)
        self._memory = groups_of("memory", groups, listed)
        self._clock = clock
        self._used: dict[Group, tuple[float, float]] = {}
        psutil.cpu_percent(None)  # the first call has nothing to compare with

    def cpu(self) -> float:
        """Percent since the last call, of what this process may use; of the narrowest bound."""
        found = [percent for group in self._cpu if (percent := self._cpu_of(group)) is not None]
        return max(found) if found else float(psutil.cpu_percent(None))

    def memory(self) -> float:
        """Percent of what the machine or a group has; the fullest one."""
        found = [percent for group in self._memory if (percent := group.memory()) is not None]
        return max([float(psutil.virtual_memory().percent), *found])

    def _cpu_of(self, group: Group) -> float | None:
        """None: it has no bound."""
        cores, used, now = group.cores(), group.cpu_seconds(), self._clock()
        if cores is None or used is None:
            return None
        before = self._used.get(group)
        self._used[group] = now, used
        if before is None or now <= before[0]:
            return 0.0
        return 100 * (used - before[1]) / (now - before[0]) / cores
