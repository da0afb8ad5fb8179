"""A task that beat sent: its tick is claimed before it runs, and how it ended is written down.

A message may be there twice, from two beats or from one that was killed; the second finds the tick claimed.
"""

import datetime
from typing import Any

import structlog

from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.plumbing.recorded import Body, NotNow, outcome_of, run_recorded
from pixmill_shared.repositories import beat_runs
from pixmill_shared.repositories.task_records import TaskRun
from pixmill_shared.runtime import Runtime

log = get_logger(__name__)


def header_of(entry: str, scheduled_at: datetime.datetime) -> dict[str, str]:
    """The value of ``TICK_HEADER``."""
    return {"entry": entry, "at": scheduled_at.isoformat()}


def run_ticked(
    clients: Runtime, run: TaskRun, entry: str, scheduled_at: datetime.datetime, body: Body
) -> dict[str, Any] | None:
    """What the task returned; None also if the tick was run before. Raises what ``body`` raises, and notes it."""
    structlog.contextvars.bind_contextvars(entry=entry)
    with clients.database.session_scope() as session:
        if not beat_runs.claim(session, entry, scheduled_at, run.task_id):
            log.info("tick was run before")
            return None
    failpoint("tick.claimed", entry)
    try:
        return outcome_of(run_recorded(clients, run, scheduled_at, body))
    except NotNow as why:
        with clients.database.session_scope() as session:
            beat_runs.finish(session, entry, scheduled_at, None, str(why))
        return None
