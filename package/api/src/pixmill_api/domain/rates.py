"""Rates of requests: a bucket of ``burst`` requests that fills up at ``per_minute``."""

import math
from dataclasses import dataclass
from typing import Final

_LEAST_BURST: Final = 10
_BURST_SECONDS: Final = 10


@dataclass(frozen=True)
class Rate:
    """Both are at least 1."""

    per_minute: int
    burst: int

    @property
    def interval(self) -> float:
        """Microseconds until the bucket holds one request more."""
        return 60_000_000 / self.per_minute

    @property
    def window(self) -> int:
        """Seconds, rounded up, in which an empty bucket is full again."""
        return math.ceil(self.burst * self.interval / 1_000_000)


def rate_of(per_minute: int, burst: int) -> Rate:
    """``burst`` 0: the requests of ten seconds, 10 at least. Never more than those of a minute."""
    wanted = burst or max(_LEAST_BURST, per_minute * _BURST_SECONDS // 60)
    return Rate(per_minute, min(wanted, per_minute))


@dataclass(frozen=True)
class Verdict:
    """``remaining``: requests that may come now; ``retry_after``: seconds until the next may, 0 unless this one was
    refused; ``full_after``: seconds until the bucket is full.
    """

    allowed: bool
    remaining: int
    retry_after: float
    full_after: float


def headers_of(rate: Rate, verdict: Verdict) -> dict[str, str]:
    """``RateLimit-Policy`` and ``RateLimit`` as in draft-ietf-httpapi-ratelimit-headers-10."""
    return {
        "RateLimit-Policy": f'"key";q={rate.burst};w={rate.window}',
        "RateLimit": f'"key";r={verdict.remaining};t={math.ceil(verdict.full_after)}',
    }


def whole_seconds(seconds: float) -> int:
    """For ``Retry-After``: rounded up, 1 at least."""
    return max(1, math.ceil(seconds))
