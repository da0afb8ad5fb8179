"""What becomes of work that went wrong, by what went wrong.

====================================  ==========================================  ================
What happened                         What becomes of it                          Dead letter
====================================  ==========================================  ================
The input is at fault (permanent),    ``failed`` at once, with its own code       no
or its soft time or memory limit
A dependency is at fault (transient)  again after a backoff, or after what the    when used up, with
                                      other side asked for; used up: ``failed``   the traceback
                                      with the last error's own code
A defect of ours                      as transient, code ``internal_error``       as above
The storage is away (outage)          again after a backoff, as if not tried;     when used up
                                      after ``patience`` seconds as transient
The hard time limit killed it         as transient, code ``time_limit``           as above, no traceback
Its process died without a word       again at once; used up:                     when used up
                                      ``attempts_exhausted``
The database did not take the result  again after a moment, as if not tried;      when used up
                                      after ``patience`` as if it had died
Its worker was shut down              again at once, as if not tried              no
Its claim was lost, or it was         nothing: it is somebody else's              no
canceled
====================================  ==========================================  ================

An attempt is a claim of a stage; ``max_attempts`` covers all rows above but those that say "as if not tried" or
"nothing".

A task that beat sent has no row which could wait: ``in_place``. What is transient is tried again where it is, within
seconds; after that its entry's next tick does the work, or the hourly one of a daily entry (``domain/ticks.py``), and a
dead letter tells of it. Nothing waits in the broker: a long delay there is delivered again and again.
"""

import random
from dataclasses import dataclass
from typing import Final

from pixmill_shared.domain import backoff
from pixmill_shared.domain.backoff import exponential, while_away

TRIES_IN_PLACE: Final = 3


@dataclass(frozen=True)
class Again:
    """The stage runs again after ``delay`` seconds. ``counted``: what failed was an attempt."""

    delay: float
    counted: bool = True


@dataclass(frozen=True)
class Fail:
    """The job has failed; ``buried``: for a person to look at, and to replay."""

    buried: bool


def after_failure(
    *,
    transient: bool,
    attempts: int,
    max_attempts: int,
    retry_after: float | None,
    rng: random.Random,
    outage: bool = False,
    age: float = 0.0,
    patience: float = 0.0,
) -> Again | Fail:
    """What follows the ``attempts``-th try (from 1), which failed and said so; ``retry_after`` in seconds.

    ``age``: seconds since the job was first claimed; an ``outage`` is waited for until they are ``patience``.
    """
    if not transient:
        return Fail(buried=False)
    if outage and age < patience:
        return Again(while_away(age, rng), counted=False)
    if attempts >= max_attempts:
        return Fail(buried=True)
    return Again(exponential(attempts, retry_after, rng))


def in_place(*, transient: bool, attempts: int, rng: random.Random) -> float | None:
    """Seconds until a task without a row is tried again where it is; None: it has failed."""
    return backoff.in_place(attempts, rng) if transient and attempts < TRIES_IN_PLACE else None
