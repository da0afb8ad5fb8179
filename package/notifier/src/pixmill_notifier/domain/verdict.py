"""What an answer means: delivered, try again, or give up."""

import random
from dataclasses import dataclass

from pixmill_shared.domain.backoff import WEBHOOK_SCHEDULE, scheduled


@dataclass(frozen=True)
class Answer:
    """Of one try: an HTTP status, or none with what went wrong. ``final`` errors cannot pass by waiting.

    ``silent``: the receiver was asked, and gave no answer.
    """

    status: int | None
    problem: str | None = None
    retry_after: float | None = None
    final: bool = False
    silent: bool = False

    @property
    def gone(self) -> bool:
        """The receiver wants no more."""
        return self.status == 410


@dataclass(frozen=True)
class Delivered:
    """The receiver answered 2xx."""


@dataclass(frozen=True)
class TryAgain:
    """After ``delay`` seconds."""

    delay: float
    reason: str


@dataclass(frozen=True)
class GiveUp:
    """``exhausted``: all tries were made, so a person should look at it."""

    reason: str
    exhausted: bool


def judge(answer: Answer, attempt: int, rng: random.Random) -> Delivered | TryAgain | GiveUp:
    """``attempt`` counts from 1. Only 2xx is delivered; 410 says that the receiver wants no more."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Delivered()
    reason = answer.problem or f"The receiver answered with HTTP {answer.status}."
    if answer.final or answer.gone:
        return GiveUp(reason, exhausted=False)
    asked = answer.retry_after if answer.status in (429, 503) else None
    delay = scheduled(attempt, WEBHOOK_SCHEDULE, asked, rng)
    return GiveUp(reason, exhausted=True) if delay is None else TryAgain(delay, reason)
