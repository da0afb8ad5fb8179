"""A database of many old rows, cleaned up while jobs run, and what was wrong with it."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from pixmill_shared.repositories import clock
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.cleaning import clean_up
from tests.cleaning.traffic import Traffic, traffic
from tests.plans.filling import fill

DAYS = 10
"""What is older is to go. The rows are of the last thirty days."""
KEPT = {
    f"PIXMILL_KEEP_{name}": str(DAYS)
    for name in ("JOBS", "UNFINISHED_JOBS", "DELIVERIES", "DEAD_LETTERS", "TASKS", "AUDIT", "EVENTS")
}


@dataclass
class Trial:
    """``wrong`` are sentences; ``longest`` is the longest transaction of the others, in seconds."""

    result: dict[str, Any]
    seconds: float
    completed: int
    linked: int
    longest: float
    wrong: list[str] = field(default_factory=list)

    @property
    def deleted(self) -> int:
        return int(sum(self.result["rows"].values()))


def fill_with_old(url: str, rows: int) -> None:
    """That many jobs and what comes with them, of which two thirds are older than ``DAYS``."""
    fill(url, rows)
    clients = Runtime()
    for table in ("deliveries", "task_requests"):
        ended = f"UPDATE {table} SET finished_at = created_at WHERE status NOT IN ('queued', 'processing')"
        _run(clients, "SET LOCAL statement_timeout = 0", ended)
    clients.database.dispose()


def clean_beside_jobs(url: str) -> Trial:
    """With the variables of ``KEPT``, and those of the database and the storage, in the environment."""
    clients = Runtime()
    # Of one moment, before and after.
    with clients.database.session_scope() as session:
        cutoff = clock.now(session) - timedelta(days=DAYS)
    is_old, is_young = f"finished_at < '{cutoff}'", f"finished_at > '{cutoff + timedelta(hours=1)}'"
    young = {table: _count(clients, f"{table} WHERE {is_young}") for table in ("jobs", "deliveries")}
    begun = time.monotonic()
    with traffic(url) as running:
        result = clean_up(clients)
        seconds = time.monotonic() - begun
    trial = _told(result, seconds, running)
    gave_up = sum(each.gave_up for each in running)
    # One in a hundred may: whoever holds a lock may stand still with the machine.
    if gave_up > 1 + trial.completed // 100:
        trial.wrong.append(f"{gave_up} waited for a lock longer than a second, beside {trial.completed} that did not")
    for table, before in young.items():
        if (left := _count(clients, f"{table} WHERE {is_old} AND {_IS_TO_GO[table]}")) != 0:
            trial.wrong.append(f"{left} old {table} are left")
        if (lost := before - _count(clients, f"{table} WHERE {is_young}")) > 0:
            trial.wrong.append(f"{lost} young {table} are gone")
    made = _count(clients, "jobs WHERE claimed_by = 'traffic' AND status = 'completed'")
    if made != trial.completed or not made:
        trial.wrong.append(f"{made} of {trial.completed} jobs that ran meanwhile are there")
    if result["unfinished"]:
        trial.wrong.append(f"more is left of {result['unfinished']}")
    clients.database.dispose()
    return trial


_IS_TO_GO = {
    "jobs": "NOT EXISTS (SELECT FROM deliveries d WHERE d.job_id = jobs.id AND d.finished_at IS NULL)",
    "deliveries": "true",
}


def _told(result: dict[str, Any], seconds: float, running: list[Traffic]) -> Trial:
    return Trial(
        result,
        seconds,
        completed=sum(len(each.completed) for each in running),
        linked=sum(each.linked for each in running),
        longest=max(each.longest for each in running),
    )


def _run(clients: Runtime, *statements: str) -> None:
    with clients.database.session_scope() as session:
        for each in statements:
            session.execute(text(each))


def _count(clients: Runtime, what: str) -> int:
    with clients.database.session_scope() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        return session.scalar(text(f"SELECT count(*) FROM {what}")) or 0
