"""What alerts are decided by. SQL with bounded spans: it runs every minute, beside millions of rows."""

import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from pixmill_notifier.domain.rules import Backups, Facts, QueueDepth, ServiceCheck
from pixmill_shared.repositories import service_health

FRESH: Final = datetime.timedelta(minutes=10)
"""A check or a sample that is older says nothing of now."""

LETTERS_OF: Final = datetime.timedelta(hours=1)

HEARTBEAT_MISSED: Final = datetime.timedelta(minutes=5)
"""Without a heartbeat, each of these counts as a check that failed."""

# Who checks services needs beat, the broker and the general worker: while one of them is away nobody does, and the
# heartbeat that stays away is what tells.
_SERVICES = text(f"""
    SELECT service, status_code,
           status = '{service_health.HEALTHY}' AND checked_at > :since AS healthy,
           CASE WHEN checked_at > :since THEN failures
                ELSE floor(extract(epoch FROM :now - checked_at) / :missed)::int END AS failures
    FROM service_health
    WHERE checked_at > :since OR (service = '{service_health.HEARTBEAT}' AND checked_at > :forgotten)
""")

_QUEUES = text("""
    SELECT DISTINCT ON (queue) queue, depth, oldest_seconds FROM queue_samples
    WHERE at > :since ORDER BY queue, at DESC
""")

_LETTERS = text("""
    SELECT task, count(*) AS letters FROM dead_letters
    WHERE created_at > :since AND created_at <= :now GROUP BY task ORDER BY task
""")

_ENDED = text("""
    SELECT count(*) AS ended, count(*) FILTER (WHERE status = 'failed') AS failed FROM jobs
    WHERE finished_at > :since AND finished_at <= :now AND status IN ('completed', 'failed')
""")

_BACKUPS = text("""
    SELECT max(finished_at) FILTER (WHERE status = 'completed') AS completed_at, min(started_at) AS first_at
    FROM backups
""")


def collect(
    session: Session, now: datetime.datetime, failure_window: datetime.timedelta, disk_percent: float | None
) -> Facts:
    """All that the database knows at ``now``."""
    services = _rows(
        session,
        _SERVICES,
        now=now,
        since=now - FRESH,
        missed=HEARTBEAT_MISSED.total_seconds(),
        forgotten=now - service_health.FORGET_AFTER,
    )
    queues = _rows(session, _QUEUES, since=now - FRESH)
    letters = _rows(session, _LETTERS, since=now - LETTERS_OF, now=now)
    (ended,) = _rows(session, _ENDED, since=now - failure_window, now=now)
    (backups,) = _rows(session, _BACKUPS)
    return Facts(
        services=tuple(
            ServiceCheck(row["service"], row["healthy"], row["failures"], row["status_code"]) for row in services
        ),
        queues=tuple(QueueDepth(row["queue"], row["depth"], row["oldest_seconds"]) for row in queues),
        letters={row["task"]: row["letters"] for row in letters},
        ended=ended["ended"],
        failed=ended["failed"],
        disk_percent=disk_percent,
        backups=Backups(backups["completed_at"], backups["first_at"]) if backups["first_at"] else None,
    )


def _rows(session: Session, query: Any, **values: object) -> list[dict[str, Any]]:
    return [dict(row) for row in session.execute(query, values).mappings()]
