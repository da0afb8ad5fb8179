"""How many tries one host may have at the same time, in one process.

So a host that hangs holds some of the threads, and never all. A host that is fast is waited for, for a moment; one that
is not gets what is left over later, at the pace that it can take.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PATIENCE: Final = 0.1
"""Seconds that a thread waits for a place: as long as the oldest try at that host has not taken longer."""
FURTHEST: Final = 300.0
"""Seconds that something is put off at most."""
_SHARE: Final = 0.2
"""Of the last try, in the time that a try at the host takes."""


@dataclass
class _Host:
    #: A place was given back. Each host has its own, so that nobody wakes in vain.
    left: threading.Condition
    began: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.05
    next_place: float = 0.0
    waiting: int = 0


class Gate:
    """Of a process, for all its threads; ``limit`` tries a host at once."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = defaultdict(lambda: _Host(threading.Condition(self._lock)))
        self._count = 0

    def enter(self, host: str) -> int | float:
        """A place (int) that must be given back with ``leave``; or, as a float, in how many seconds to come again."""
        with self._lock:
            known = self._hosts[host]
            while len(known.began) >= self.limit:
                patience = min(known.began.values()) + PATIENCE - self._clock()
                if patience <= 0:
                    return self._put_off(known)
                known.waiting += 1
                known.left.wait(patience)
                known.waiting -= 1
            self._count += 1
            known.began[self._count] = self._clock()
            return self._count

    def busy(self) -> list[str]:
        """Hosts that ``enter`` would have nobody wait for."""
        with self._lock:
            now = self._clock()
            return [host for host, known in self._hosts.items() if self._is_slow(known, now)]

    def delay(self, host: str) -> float:
        """In how many seconds to come again, for what is not even claimed while ``host`` is busy."""
        with self._lock:
            known = self._hosts.get(host)
            return self._put_off(known) if known is not None and known.began else 0.0

    def _is_slow(self, known: _Host, now: float) -> bool:
        return len(known.began) >= self.limit and min(known.began.values()) + PATIENCE <= now

    def leave(self, host: str, place: int) -> None:
        with self._lock:
            known = self._hosts[host]
            taken = self._clock() - known.began.pop(place)
            known.seconds += _SHARE * (taken - known.seconds)
            if not known.began and not known.waiting and known.next_place <= self._clock():
                # A process that lives for months sees many hosts.
                del self._hosts[host]
            known.left.notify()

    def _put_off(self, known: _Host) -> float:
        now = self._clock()
        seconds = max(known.seconds, now - min(known.began.values()))
        known.next_place = max(known.next_place, now) + seconds / self.limit
        if known.next_place - now > FURTHEST:
            # As far as anything is put off; the half of it is handed out again.
            known.next_place = now + FURTHEST / 2
        return known.next_place - now
