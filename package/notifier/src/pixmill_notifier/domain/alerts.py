"""The life of an alert: it starts at once, is told again every few hours, and ends when all has been well for a while.

What comes and goes cannot make a storm. Bad news is never held back; good news is, for ``calm``, and for twice as long
each time that the same alert started in the day before, so that it starts ever more seldom.
"""

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pixmill_shared.contract.alerts import RAISED_RULES, AlertChange, AlertRule

LONGEST_CALM: Final = datetime.timedelta(hours=6)
UNSEEN: Final = datetime.timedelta(days=1)
"""An alert that nobody measures or raises any more ends after it: the queue is gone, or the receiver is left alone."""


class Verdict(StrEnum):
    """``BETWEEN`` the thresholds at which an alert starts and ends, everything stays as it is."""

    BAD = "bad"
    BETWEEN = "between"
    GOOD = "good"


@dataclass(frozen=True)
class Reading:
    """What a rule says of a subject now; ``detail`` is a sentence for people."""

    rule: AlertRule
    subject: str
    verdict: Verdict
    value: float | None
    detail: str


@dataclass(frozen=True)
class Policy:
    """``remind_every`` zero: never. ``calm``: how long all must have been well before the first end is told."""

    remind_every: datetime.timedelta
    calm: datetime.timedelta


@dataclass(frozen=True)
class Firing:
    """An alert that has not ended. ``recurrence``: how often it had started in the day before it did."""

    rule: AlertRule
    seen_at: datetime.datetime
    clear_since: datetime.datetime | None
    last_sent_at: datetime.datetime | None
    recurrence: int


@dataclass(frozen=True)
class Step:
    """What becomes of an alert: since when all is well, and what people are told, if anything."""

    clear_since: datetime.datetime | None
    change: AlertChange | None


def starts(reading: Reading) -> bool:
    """Whether a subject without an alert gets one."""
    return reading.verdict is Verdict.BAD


def step(alert: Firing, reading: Reading | None, now: datetime.datetime, policy: Policy) -> Step:
    """``reading`` None: nothing is known of the subject now, or the alert was raised rather than measured."""
    clear_since = _clear_since(alert, reading, now)
    if alert.last_sent_at is None:
        return Step(clear_since, AlertChange.STARTED)
    if clear_since is not None:
        over = now - clear_since >= _calm(alert, policy)
        return Step(clear_since, AlertChange.ENDED if over else None)
    due = bool(policy.remind_every) and now - alert.last_sent_at >= policy.remind_every
    return Step(None, AlertChange.REMINDER if due else None)


def _clear_since(alert: Firing, reading: Reading | None, now: datetime.datetime) -> datetime.datetime | None:
    if reading is not None:
        return (alert.clear_since or now) if reading.verdict is Verdict.GOOD else None
    if now - alert.seen_at >= UNSEEN:
        return alert.clear_since or alert.seen_at
    # Who raised it may have cleared it; a measured one that is not measured just now waits for the next reading.
    return alert.clear_since if alert.rule in RAISED_RULES else None


def _calm(alert: Firing, policy: Policy) -> datetime.timedelta:
    # The exponent is bounded: nobody knows how often somebody raises and clears.
    doubled: datetime.timedelta = policy.calm * 2 ** min(alert.recurrence, 16)
    return min(doubled, max(LONGEST_CALM, policy.calm))
