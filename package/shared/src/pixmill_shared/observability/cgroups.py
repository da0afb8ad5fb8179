"""Control groups of this process, of version 1 or 2, and their bounds: containers', systemd units', slices'.

A bound may be at any group above the one that the process is in. Inside a container the directories may begin at the
container's own group, while the list of groups names it as the host does: what is not there is passed over.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
LISTED: Final = Path("/proc/self/cgroup")

_UNBOUNDED: Final = 1 << 62
"""Bytes; version 1 says "no bound" by a number near the largest that it has."""


@dataclass(frozen=True)
class Group:
    """``directory`` has its files. Of version 1 those that count CPU time are in ``counted``, often the same one."""

    directory: Path
    counted: Path

    def cores(self) -> float | None:
        """None: there is no bound."""
        words = _words(self.directory / "cpu.max")
        words = words or _words(self.directory / "cpu.cfs_quota_us") + _words(self.directory / "cpu.cfs_period_us")
        if len(words) != 2 or words[0] in ("max", "-1"):
            return None
        return float(words[0]) / float(words[1])

    def cpu_seconds(self) -> float | None:
        """All that it has used."""
        microseconds = _stat(self.directory / "cpu.stat", "usage_usec")
        nanoseconds = _number(self.counted / "cpuacct.usage")
        if microseconds is not None:
            return microseconds / 1e6
        return None if nanoseconds is None else nanoseconds / 1e9

    def memory(self) -> float | None:
        """Percent of its bound that is in use; None: there is none."""
        most = _number(self.directory / "memory.max") or _number(self.directory / "memory.limit_in_bytes")
        used = _number(self.directory / "memory.current") or _number(self.directory / "memory.usage_in_bytes")
        if not most or used is None or most >= _UNBOUNDED:
            return None
        # Pages of files that were read are given back when they are needed. Of version 1 the total is that of all
        # groups below too, as the use is.
        stat = self.directory / "memory.stat"
        cached = _stat(stat, "total_inactive_file") or _stat(stat, "inactive_file") or 0
        return 100 * (used - min(cached, used)) / most


def groups_of(controller: str, root: Path = ROOT, listed: Path = LISTED) -> list[Group]:
    """Those that may bound ``controller``, ``cpu`` or ``memory``: the process' own first, then those above it."""
    paths = _paths(listed)
    if controller in paths:
        counted = "cpuacct" if controller == "cpu" else controller
        own, beside = _above(root / controller, paths[controller]), _above(root / counted, paths.get(counted, "/"))
        # The same groups as a rule; where they are not, no time is counted for this bound.
        return [Group(root / controller / each, root / counted / each) for each in own if each in beside]
    return [Group(root / each, root / each) for each in _above(root, paths.get("", "/"))]


def _paths(listed: Path) -> dict[str, str]:
    """By controller of version 1, and by the empty name that of version 2."""
    try:
        lines = [line.split(":", 2) for line in listed.read_text().splitlines()]
    except OSError:
        return {}
    return {name: line[2] for line in lines if len(line) == 3 for name in line[1].split(",")}


def _above(base: Path, path: str) -> list[Path]:
    """The group at ``path`` and all above it, as far as they are there, from the lowest; relative to ``base``."""
    place = Path(path.lstrip("/"))
    if ".." in place.parts:
        # It is outside of what this process is shown.
        place = Path()
    return [each for each in (place, *place.parents) if (base / each).is_dir()]


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _number(file: Path) -> float | None:
    words = _words(file)
    return float(words[0]) if words and words[0] != "max" else None


def _stat(file: Path, key: str) -> float | None:
    words = _words(file)
    return float(words[words.index(key) + 1]) if key in words else None
