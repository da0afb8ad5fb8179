"""Percentages from workers, over Redis pub/sub. While it is away there are none; rows are read each second anyway."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import redis.asyncio
from redis import RedisError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pixmill_shared.contract.progress import PROGRESS_CHANNEL
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

_QUIET: Final = 5.0
"""Seconds without a message after which Redis is asked whether it is there."""
_TIMEOUT: Final = 3.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0


async def hear_percentages(url: str, hear: Callable[[str, str, int], None]) -> None:
    """Call ``hear(job, stage, percent)`` for each that comes, until canceled. Connects again for ever."""
    pause = _FIRST_PAUSE
    while True:
        try:
            client = redis.asyncio.Redis.from_url(
                url,
                socket_connect_timeout=_TIMEOUT,
                socket_timeout=_TIMEOUT,
                health_check_interval=_QUIET,
                retry=Retry(NoBackoff(), 0),
            )
            async with client, client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(PROGRESS_CHANNEL)
                while True:
                    message = await subscription.get_message(timeout=_QUIET)
                    if message is not None:
                        pause = _FIRST_PAUSE
                        pass_on(message["data"], hear)
        except (RedisError, OSError, ValueError) as error:
            log.info("no percentages, trying again", error=type(error).__name__, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def pass_on(data: bytes, hear: Callable[[str, str, int], None]) -> None:
    """One message; what is no percentage is none."""
    try:
        said: dict[str, Any] = json.loads(data)
        job, stage, percent = str(said["job"]), str(said["stage"]), int(said["progress"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return  # anybody may publish on a channel
    hear(job, stage, min(max(percent, 0), 99))
