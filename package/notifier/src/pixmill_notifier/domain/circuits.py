"""Circuit breakers: a receiver that does not answer is left alone for a while, so that it delays no other.

``Circuit()``: closed. After ``threshold`` tries in a row that got no answer it opens: nothing is sent before
``retry_at``. Then one try goes (a probe), and nothing else for as long as that may take. A probe without an answer
opens the circuit for twice as long as before; an answer, whichever, closes it. The row of a host in ``receivers`` is
its circuit; a host that has none is ``Circuit()``.
"""

import datetime
from dataclasses import dataclass, replace
from typing import Final

SHORTEST: Final = datetime.timedelta(seconds=30)
LONGEST: Final = datetime.timedelta(minutes=10)


@dataclass(frozen=True)
class Circuit:
    """``failures`` one after another; ``opened``: how often since the last answer; ``retry_at`` None: closed."""

    failures: int = 0
    opened: int = 0
    retry_at: datetime.datetime | None = None


def admits(circuit: Circuit, now: datetime.datetime) -> bool:
    """May something be sent now? If the circuit is not closed, that is a probe."""
    return circuit.retry_at is None or circuit.retry_at <= now


def probing(circuit: Circuit, now: datetime.datetime, lease: datetime.timedelta) -> Circuit:
    """While a probe is on its way, which may take as long as its ``lease``."""
    return replace(circuit, retry_at=now + lease)


def after_failure(circuit: Circuit, now: datetime.datetime, threshold: int, *, probe: bool) -> Circuit:
    """A try got no answer. What was on its way when the circuit opened changes nothing any more."""
    failures = circuit.failures + 1
    if circuit.retry_at is None and failures < threshold:
        return replace(circuit, failures=failures)
    if circuit.retry_at is not None and not probe:
        return replace(circuit, failures=failures)
    return Circuit(failures, circuit.opened + 1, now + pause(circuit.opened + 1))


def pause(opened: int) -> datetime.timedelta:
    """How long nothing is sent, by how often it came to that: 30 s, doubled each time, up to 10 minutes."""
    doublings: int = 2 ** min(opened - 1, 10)
    return min(SHORTEST * doublings, LONGEST)
