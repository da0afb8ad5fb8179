"""A token bucket for each key, in Redis, so that all processes of the API count together.

One script per request, which reads and writes one number: when the bucket will be full. The time is that of Redis, so
clocks of API processes do not matter.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from pixmill_api.domain.rates import Rate, Verdict, headers_of, rate_of, whole_seconds
from pixmill_api.errors import LimitsUnknown, RateLimited
from pixmill_api.settings import LimitSettings
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

BREAK: Final = 1.0
"""Seconds that Redis is left alone after it did not answer."""
CONNECTIONS: Final = 16

# In microseconds. A bucket that is full later than an empty one would be is of a clock that was set back, or of a
# limit that was lowered. Redis keeps 53 bits of a number, enough for microseconds until the year 2255.
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local empty = now + interval * burst
local full = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), empty)
local allowed = full + interval <= empty + 0.5
if allowed then
  full = full + interval
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
end
local wait = allowed and 0 or full + interval - empty
return {allowed and 1 or 0, math.floor((empty - full + 0.5) / interval), math.ceil(wait), math.ceil(full - now)}
"""


class RateLimiter:
    """Of one event loop. ``url`` is that of Redis."""

    def __init__(self, url: str, settings: LimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=settings.patience,
            socket_connect_timeout=settings.patience,
            retry=Retry(NoBackoff(), 0),
            max_connections=CONNECTIONS,
        )
        self._script = self._redis.register_script(_SCRIPT)
        # The pool refuses what is above its size; here it waits, and the wait for Redis itself begins after that.
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._left_alone_until = 0.0

    async def admit(self, key_id: uuid.UUID, per_minute: int | None, headers: dict[str, str]) -> None:
        """One request of the key. ``headers`` of its answer are added to, also if it is refused. ``per_minute`` None:
        PIXMILL_RATE_LIMIT; 0: no limit.

        Raises RateLimited, and LimitsUnknown if Redis is down and PIXMILL_RATE_LIMIT_WHEN_DOWN is closed.
        """
        wanted = self._settings.rate if per_minute is None else per_minute
        if not wanted:
            return
        rate = rate_of(wanted, self._settings.burst)
        verdict = await self._ask(key_id, rate)
        if verdict is not None:
            headers.update(headers_of(rate, verdict))
            if not verdict.allowed:
                raise RateLimited(wanted, whole_seconds(verdict.retry_after))
        elif self._settings.when_down == "closed":
            raise LimitsUnknown

    async def close(self) -> None:
        """At the end of the event loop."""
        await self._redis.aclose()

    async def _ask(self, key_id: uuid.UUID, rate: Rate) -> Verdict | None:
        """None: Redis does not answer, or did not just now."""
        if self._is_left_alone():
            return None
        async with self._places:
            if self._is_left_alone():
                return None
            try:
                async with asyncio.timeout(self._settings.patience):
                    allowed, remaining, wait, full = await self._script(
                        keys=[f"pixmill:rate:{key_id}"], args=[rate.interval, rate.burst]
                    )
            except (RedisError, OSError) as error:  # a time-out is an OSError
                self._leave_alone(error)
                return None
            return Verdict(bool(allowed), int(remaining), wait / 1_000_000, full / 1_000_000)

    def _is_left_alone(self) -> bool:
        return self._clock() < self._left_alone_until

    def _leave_alone(self, error: Exception) -> None:
        if not self._is_left_alone():
            log.warning("rate limits not known", when_down=self._settings.when_down, error=type(error).__name__)
        self._left_alone_until = self._clock() + BREAK
