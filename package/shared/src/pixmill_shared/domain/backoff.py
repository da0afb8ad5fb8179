"""When to try again."""

import random
from collections.abc import Sequence
from typing import Final

WEBHOOK_SCHEDULE: Final = (5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400)
"""Seconds to wait after the first, second, … failed try of a webhook."""

MESSAGE_SCHEDULE: Final = (10, 30, 120, 600, 1_800, 3_600, 10_800)
"""The same of a message to the people who run pixmill: five hours, after which it is old news."""

PIPELINE_FIRST: Final = 60.0
PIPELINE_LONGEST: Final = 6 * 3_600.0
"""Seconds to wait after the first failed run of a pipeline, and at most."""

JITTER: Final = 0.2

SHORTEST: Final = 0.25
"""Seconds. Full jitter may draw nothing at all, and what failed this instant would fail again."""


def exponential(attempt: int, retry_after: float | None, rng: random.Random) -> float:
    """Seconds before the next try of a job whose ``attempt``-th (from 1) failed: anything below 2 s · 4^n, two minutes
    at most. Full jitter, so that jobs which failed together do not come back together.

    What the other side asked for (``retry_after``, seconds) is a lower bound, up to ten minutes.
    """
    ceiling = min(2.0 * 4 ** (attempt - 1), 120.0)
    return max(rng.uniform(0, ceiling), SHORTEST, min(retry_after or 0.0, 600.0))


def in_place(attempt: int, rng: random.Random) -> float:
    """Seconds before a task that nobody keeps a row for is tried again where it is: anything below 1 s · 4^n, four at
    most. Its worker waits for it, so this is for what passes in seconds.
    """
    return max(rng.uniform(0, min(4.0 ** (attempt - 1), 4.0)), SHORTEST)


def while_away(seconds: float, rng: random.Random) -> float:
    """Seconds until the next look for a dependency that has been away for so long: up to half of that, and between 2 s
    and 30 s, with full jitter. So what waits goes on soon after it is back, however long it was away.
    """
    return max(rng.uniform(0, min(max(seconds / 2, 2.0), 30.0)), SHORTEST)


def scheduled(attempt: int, schedule: Sequence[int], retry_after: float | None, rng: random.Random) -> float | None:
    """Seconds before the next try by a fixed schedule, or None after its last; jitter of 20 % keeps herds apart."""
    if attempt > len(schedule):
        return None
    wait = schedule[attempt - 1] * rng.uniform(1 - JITTER, 1 + JITTER)
    return max(wait, min(retry_after or 0.0, 86_400.0))


def doubling(failures: int, retry_after: float | None, rng: random.Random) -> float:
    """Seconds until a pipeline whose last ``failures`` runs (from 1) failed looks again: one minute, doubled each time,
    six hours at most; jitter of 20 %. What the other side asked for (seconds) is a lower bound, up to a day.
    """
    wait = min(PIPELINE_FIRST * 2.0 ** min(failures - 1, 20), PIPELINE_LONGEST)
    return max(wait * rng.uniform(1 - JITTER, 1 + JITTER), min(retry_after or 0.0, 86_400.0))
