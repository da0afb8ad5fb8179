"""Keys that this process has checked a moment ago: most requests need no thread and no database to know who asks.

A key is trusted for PIXMILL_KEY_CACHE_TTL seconds since it was read, and not beyond its own end. So a revoked key may
work, and a change of its limits may wait, for that long.
"""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi.concurrency import run_in_threadpool

from pixmill_api.errors import NotAuthenticated
from pixmill_shared.repositories.api_keys import CheckedKey
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.keys import check_key, digest_of, prefix_of

MOST: Final = 10_000
"""Keys that are remembered."""


LookUp = Callable[[str], CheckedKey | None]
"""The key of a token, None if there is no such key; called in a thread."""


def in_database(runtime: Runtime) -> LookUp:
    """Where keys are."""

    def look_up(token: str) -> CheckedKey | None:
        with runtime.database.session_scope() as session:
            return check_key(session, token)

    return look_up


@dataclass(frozen=True, slots=True)
class _Known:
    key: CheckedKey
    until: float


class KnownKeys:
    """Of one event loop. ``ttl`` in seconds; 0: each request asks the database."""

    def __init__(
        self, look_up: LookUp, ttl: float, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look_up = look_up
        self._ttl = ttl
        self._most = most
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def find(self, token: str) -> CheckedKey:
        """Raises NotAuthenticated. What cannot be a token is refused without asking anybody."""
        prefix = prefix_of(token)
        if prefix is None:
            raise NotAuthenticated
        known, now = self._known.get(prefix), self._clock()
        if known is not None and now < known.until:
            # No other key has this prefix, so a token that differs is none.
            if not hmac.compare_digest(known.key.token_sha256, digest_of(token)):
                raise NotAuthenticated
            return known.key
        key = await run_in_threadpool(self._look_up, token)
        if key is None:
            raise NotAuthenticated
        if self._ttl:
            self._remember(key, now)
        return key

    def forget(self, prefix: str) -> None:
        """What was known of a key that was changed just now. Other processes find out in their own time."""
        self._known.pop(prefix, None)

    def _remember(self, key: CheckedKey, asked_at: float) -> None:
        ttl = self._ttl if key.expires_in is None else min(self._ttl, key.expires_in)
        self._known.pop(key.prefix, None)
        if len(self._known) >= self._most:
            # The one that was read longest ago.
            del self._known[next(iter(self._known))]
        self._known[key.prefix] = _Known(key, asked_at + ttl)
