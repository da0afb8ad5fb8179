"""What a dashboard shows: figures of a project, and of the whole installation's queues. What they cost is bounded,
however many rows there are, and they are made once in a few seconds for all who ask.
"""

import datetime
from collections import defaultdict
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_api.auth import Caller, Context
from pixmill_api.repositories import stats
from pixmill_api.repositories.stats import MOST_JOBS, MOST_QUEUED
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.models import Job
from pixmill_shared.domain.moments import utc

STATS_AGE: Final = 5.0
"""Seconds that figures are good for."""
ALL_QUEUES: Final = "/queues"
"""What the queues are remembered as: no name of a project begins so."""

_STATES: Final = ("ready", "published", "delayed", "processing")
_TOGETHER: Final = ("delayed", "processing")


def project_stats(context: Context, caller: Caller) -> dict[str, Any]:
    """Of the caller's project."""
    return context.stats.get(caller.project, lambda: _project_stats(context, caller.project))


def queues(context: Context) -> dict[str, Any]:
    """Of the whole installation."""
    return context.stats.get(ALL_QUEUES, lambda: _queues(context))


def _project_stats(context: Context, project: str) -> dict[str, Any]:
    with context.runtime.database.session_scope() as session:
        now = stats.begin(session).astimezone(datetime.UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spans = {"today": today, "last_hour": now - datetime.timedelta(hours=1)}
        found = stats.recent(session, project)
        return {
            "at": utc(now),
            **{name: _span(session, project, since) for name, since in spans.items()},
            "recent": {
                "jobs": found["jobs"],
                "since": utc(found["since"]),
                "renditions_made": found["made"],
                "renditions_reused": found["reused"],
                "bytes_in": found["bytes_in"],
                "bytes_out": found["bytes_out"],
                "duration_ms": {"p50": _whole(found["p50"]), "p95": _whole(found["p95"])},
            },
        }


def _span(session: Session, project: str, since: datetime.datetime) -> dict[str, Any]:
    counts = stats.jobs_by_status(session, project, since)
    return {"since": utc(since), "jobs": {status: _count(jobs, MOST_JOBS) for status, jobs in counts.items()}}


def _queues(context: Context) -> dict[str, Any]:
    rows: dict[tuple[str, str], int] = defaultdict(int)
    oldest: dict[str, datetime.datetime] = {}
    cut: set[str] = set()
    with context.runtime.database.session_scope() as session:
        now = stats.begin(session)
        for table in stats.WORK_TABLES:
            together = dict.fromkeys(_TOGETHER, 0)
            for found in stats.queues(session, table, list(QueueName)):
                queue, state = found["queue"], found["state"]
                if table == Job.__tablename__ and queue == QueueName.GENERATE:
                    continue  # what is published and worked on are its chunks
                rows[queue, state] += found["rows"]
                if found["oldest"] is not None:
                    oldest[queue] = min(found["oldest"], oldest.get(queue, found["oldest"]))
                if state in together:
                    together[state] += found["rows"]
            cut |= {state for state, counted in together.items() if counted > MOST_QUEUED}
    data = [
        {
            "queue": queue,
            **{state: _count(rows[queue, state], MOST_QUEUED, at_least=state in cut) for state in _STATES},
            "oldest_seconds": _seconds(now - oldest[queue]) if queue in oldest else None,
        }
        for queue in map(str, QueueName)
    ]
    return {"at": utc(now), "data": data}


def _count(found: int, most: int, *, at_least: bool = False) -> dict[str, Any]:
    return {"count": min(found, most), "more": at_least or found > most}


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _seconds(age: datetime.timedelta) -> float:
    return round(max(age.total_seconds(), 0.0), 3)
