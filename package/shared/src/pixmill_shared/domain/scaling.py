"""How many processes a worker's pool should have: grown by the work that waits, held back by the machine.

Growing and shrinking have different thresholds and paces, so that a pool does not swing: it grows while much waits, a
process at a time; it shrinks, one at a time too, when little has waited for a while. What waits twice as long as it
should is an emergency: the pool grows to its most at once, and only memory limits that.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Reason(StrEnum):
    """Why a pool has the size that it has."""

    BACKLOG = "backlog"
    EMERGENCY = "emergency"
    QUIET = "quiet"
    BOUNDS = "bounds"
    HELD_BY_CPU = "held_by_cpu"
    HELD_BY_MEMORY = "held_by_memory"
    STEADY = "steady"


@dataclass(frozen=True)
class Limits:
    """Sizes in processes; thresholds of the machine in percent; ``queue_threshold`` in rows, ``oldest`` in seconds that
    a row may wait; ``pace`` in seconds between two steps of growth, ``cool_down`` until, and between, steps back.
    """

    least: int = 2
    most: int = 10
    cpu_threshold: float = 80
    memory_threshold: float = 85
    queue_threshold: int = 100
    oldest: float = 60
    pace: float = 5
    cool_down: float = 60


@dataclass(frozen=True)
class Load:
    """What was measured at ``at`` (seconds of any clock that does not jump): rows that are due for the pool's queues,
    how long the oldest of them has been, how busy the machine is (percent).
    """

    at: float
    backlog: int
    oldest: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Pool:
    """``grown_at`` and ``shrunk_at``: of the last step; ``busy_at``: when much waited last."""

    size: int
    grown_at: float = float("-inf")
    shrunk_at: float = float("-inf")
    busy_at: float = float("-inf")


def decide(pool: Pool, load: Load, limits: Limits) -> tuple[Pool, Reason]:
    """The pool as it should be now. ``size`` differs from the one before by what is to be started or stopped."""
    if not limits.least <= pool.size <= limits.most:
        return replace(pool, size=min(max(pool.size, limits.least), limits.most)), Reason.BOUNDS
    if load.backlog >= limits.queue_threshold or (load.backlog and load.oldest > limits.oldest):
        return _grow(replace(pool, busy_at=load.at), load, limits)
    if 2 * load.backlog >= limits.queue_threshold:
        # Neither much nor little.
        return replace(pool, busy_at=load.at), Reason.STEADY
    return _shrink(pool, load, limits)


def _grow(pool: Pool, load: Load, limits: Limits) -> tuple[Pool, Reason]:
    if pool.size == limits.most:
        return pool, Reason.STEADY
    if load.memory >= limits.memory_threshold:
        return pool, Reason.HELD_BY_MEMORY
    if load.backlog >= 2 * limits.queue_threshold:
        return replace(pool, size=limits.most, grown_at=load.at), Reason.EMERGENCY
    if load.cpu >= limits.cpu_threshold:
        return pool, Reason.HELD_BY_CPU
    if load.at - pool.grown_at < limits.pace:
        return pool, Reason.STEADY
    return replace(pool, size=pool.size + 1, grown_at=load.at), Reason.BACKLOG


def _shrink(pool: Pool, load: Load, limits: Limits) -> tuple[Pool, Reason]:
    calm_since = max(pool.busy_at, pool.grown_at, pool.shrunk_at)
    if pool.size == limits.least or load.at - calm_since < limits.cool_down:
        return pool, Reason.STEADY
    return replace(pool, size=pool.size - 1, shrunk_at=load.at), Reason.QUIET
