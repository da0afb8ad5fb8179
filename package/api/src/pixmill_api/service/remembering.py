"""Answers that many ask for and few may compute: kept for a few seconds."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Answer = TypeVar("Answer")

MOST: Final = 1_000
"""Keys that are remembered; more of them, and all are forgotten."""


@dataclass
class _Kept(Generic[Answer]):
    making: threading.Lock = field(default_factory=threading.Lock)
    answer: Answer | None = None
    stale_at: float = 0.0


class Remembering(Generic[Answer]):
    """``seconds``: how long an answer is good for. Used by many threads; one at a time makes the answer of a key."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept[Answer]] = {}

    def get(self, key: str, make: Callable[[], Answer]) -> Answer:
        """What ``make`` gave no longer ago than that. Whoever comes while it is made again gets the answer before; only
        the first one is waited for. Raises what ``make`` raises.
        """
        kept = self._of(key)
        if kept.answer is not None and (self._clock() < kept.stale_at or kept.making.locked()):
            return kept.answer
        with kept.making:
            if kept.answer is None or self._clock() >= kept.stale_at:
                kept.answer = make()
                kept.stale_at = self._clock() + self._seconds
            return kept.answer

    def _of(self, key: str) -> _Kept[Answer]:
        with self._lock:
            if len(self._kept) >= MOST and key not in self._kept:
                self._kept.clear()
            return self._kept.setdefault(key, _Kept())
