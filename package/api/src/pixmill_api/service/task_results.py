"""Results of tasks that nobody asked for by a row, as Celery keeps them in Redis for a while."""

import json
from typing import Any, Final
from urllib.parse import urlsplit

from pixmill_shared.observability.logs import get_logger
from pixmill_shared.settings.broker import BrokerSettings

log = get_logger(__name__)

_KEY: Final = "celery-task-meta-"
_PATIENCE: Final = 2.0
"""Seconds."""


def kept_result(task_id: str) -> dict[str, Any] | None:
    """As Celery wrote it: ``status``, ``result``, ``date_done``. None: there is none, or nobody can look."""
    url = BrokerSettings.load().result_backend
    if urlsplit(url).scheme not in ("redis", "rediss"):
        return None
    from redis import Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        with Redis.from_url(
            url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, retry=Retry(NoBackoff(), 0)
        ) as client:
            written = client.get(f"{_KEY}{task_id}")
        found = json.loads(written) if isinstance(written, bytes) else None
    except (RedisError, OSError, ValueError) as error:
        log.warning("cannot look for the result of a task", error=type(error).__name__)
        return None
    return found if isinstance(found, dict) else None
