"""The figures of a day, as they are kept and as people read them."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Slow:
    """A job and its duration in seconds."""

    job_id: str
    seconds: float


@dataclass(frozen=True)
class Growth:
    """What was stored in a day."""

    count: int
    bytes: int


@dataclass(frozen=True)
class Figures:
    """Of the jobs that ended in a local day. ``p50`` and ``p95``: seconds from their start to their end, of those that
    were completed; None: there were none. ``source_bytes`` and ``output_bytes``: of those whose sources are known.
    ``sampled``: durations and bytes are estimates, as there were very many."""

    day: str
    zone: str
    submitted: int
    completed: int
    failed: int
    canceled: int
    reasons: dict[str, int]
    p50: float | None
    p95: float | None
    slowest: list[Slow]
    source_bytes: int
    output_bytes: int
    dead_letters: dict[str, int]
    uploads: Growth
    renditions: Growth
    disk_percent: float | None = None
    sampled: bool = False

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.canceled

    @property
    def saved_percent(self) -> float | None:
        """How much smaller the outputs are than their sources; negative: they are larger."""
        if not self.source_bytes or not self.output_bytes:
            return None
        return 100 * (1 - self.output_bytes / self.source_bytes)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """The reverse of ``dataclasses.asdict``, through JSON."""
        nested = {
            "slowest": [Slow(**each) for each in document["slowest"]],
            "uploads": Growth(**document["uploads"]),
            "renditions": Growth(**document["renditions"]),
        }
        return cls(**{**document, **nested})


def size(count: float) -> str:
    """Bytes for people: ``812 B``, ``3.4 MB``."""
    if abs(count) < 1000:
        return f"{count:,.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if abs(count) < 1000:
            return f"{count:,.1f} {unit}"
    return f"{count / 1000:,.1f} TB"


def duration(seconds: float | None) -> str:
    """For people: ``85 ms``, ``3.2 s``, ``2 min 5 s``; a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
