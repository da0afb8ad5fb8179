"""A task that beat sent: its tick is claimed before it runs, and how it ended is written down.

A message may be there twice, from two beats or from one that was killed; the second finds the tick claimed.
"""

import datetime
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from pixmill_shared.domain.failures import storable
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import beat_runs
from pixmill_shared.runtime import Runtime

log = get_logger(__name__)

TICK_HEADER: Final = "beat_tick"
"""Of a message that beat sent: which tick of which entry it is."""


class NotNow(Exception):
    """Of a task that cannot run at this time: its tick counts as not done."""


def header_of(entry: str, scheduled_at: datetime.datetime) -> dict[str, str]:
    """The value of ``TICK_HEADER``."""
    return {"entry": entry, "at": scheduled_at.isoformat()}


def run_ticked(
    clients: Runtime, header: Mapping[str, str], task_id: str, body: Callable[[], dict[str, Any] | None]
) -> dict[str, Any] | None:
    """What the task returned; None also if the tick was run before. Raises what ``body`` raises, and notes it."""
    entry, scheduled_at = header["entry"], datetime.datetime.fromisoformat(header["at"])
    with clients.database.session_scope() as session:
        if not beat_runs.claim(session, entry, scheduled_at, uuid.UUID(task_id)):
            log.info("tick was run before", entry=entry)
            return None
    failpoint("tick.claimed", entry)
    result: dict[str, Any] | None = None
    try:
        result = body()
    except NotNow as why:
        _finish(clients, entry, scheduled_at, None, str(why))
    except BaseException as error:
        _finish(clients, entry, scheduled_at, None, f"{type(error).__name__}: {error}")
        raise
    else:
        _finish(clients, entry, scheduled_at, result, None)
    return result


def _finish(
    clients: Runtime, entry: str, scheduled_at: datetime.datetime, result: dict[str, Any] | None, error: str | None
) -> None:
    with clients.database.session_scope() as session:
        beat_runs.finish(session, entry, scheduled_at, result, storable(error)[:1000] if error else None)
