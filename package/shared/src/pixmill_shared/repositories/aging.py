"""Rows that have become old, found and deleted a page at a time. Prepared SQL.

A page begins where the one before it ended, so what is gone already is not looked at again, however long somebody holds
an old snapshot. What somebody has locked is passed by: a later clean-up takes it. Planners must not think that a page
is much, or they read whole tables for it; so a page is an array, and what is asked of each row is a query of its own.
"""

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import SMALLEST_ID, new_id
from pixmill_shared.repositories import deleting
from pixmill_shared.repositories.endings import CANCEL

EPOCH: Final = datetime.datetime.fromtimestamp(0, datetime.UTC)


@dataclass(frozen=True)
class Page:
    """``last``: where the next one begins; None: there is none. ``objects`` are needed no longer after the commit."""

    deleted: int
    last: Any
    objects: list[str] = field(default_factory=list)


Old = Callable[[Session, Any, int], Page]
"""Deletes the old ones among so many rows that follow a place; None is the beginning."""


_FINISHED: Final = Prepared(
    """
    SELECT id::text, finished_at FROM jobs j
    WHERE finished_at >= $1 AND finished_at < $2
      AND (SELECT count(*) FROM deliveries d WHERE d.job_id = j.id AND d.finished_at IS NULL) = 0
    ORDER BY finished_at LIMIT $3 FOR UPDATE OF j SKIP LOCKED
    """,
    *("timestamptz", "timestamptz", "bigint"),
)


def finished_jobs(before: datetime.datetime) -> Old:
    """Those that ended before then, with all that is theirs; but not while somebody is still to be told of the end."""

    def delete(session: Session, after: datetime.datetime | None, limit: int) -> Page:
        rows = _FINISHED.run(session, after or EPOCH, before, limit)
        objects = deleting.delete_jobs(session, [row["id"] for row in rows])
        return Page(len(rows), rows[-1]["finished_at"] if len(rows) == limit else None, objects)

    return delete


_PROJECTS: Final = text("""
    WITH RECURSIVE found AS (
      (SELECT project FROM jobs ORDER BY project LIMIT 1)
      UNION ALL
      SELECT (SELECT project FROM jobs WHERE project > found.project ORDER BY project LIMIT 1)
      FROM found WHERE found.project IS NOT NULL
    )
    SELECT project FROM found WHERE project IS NOT NULL
""")

# A job that is to begin late is as old as its beginning; and somebody may still be working on one that is very old.
_UNFINISHED: Final = Prepared(
    """
    WITH page AS MATERIALIZED (
      SELECT id FROM jobs WHERE project = $1 AND status = $2 AND id > $3 ORDER BY id LIMIT $5
    ),
    old AS MATERIALIZED (
      SELECT id, batch_id FROM jobs j
      WHERE id = ANY(ARRAY(SELECT id FROM page)) AND status = $2 AND greatest(created_at, run_at) < $4
        AND (lease_until IS NULL OR lease_until < clock_timestamp())
      ORDER BY id FOR UPDATE OF j SKIP LOCKED
    )
    SELECT (SELECT count(*) FROM page) AS looked_at, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last,
           ARRAY(SELECT id::text FROM old) AS ids,
           ARRAY(SELECT id::text FROM old WHERE batch_id IS NOT NULL) AS of_batches
    """,
    *("text", "text", "uuid", "timestamptz", "bigint"),
)


def projects(session: Session) -> list[str]:
    """That have jobs."""
    return list(session.scalars(_PROJECTS))


def unfinished_jobs(project: str, status: str, before: datetime.datetime) -> Old:
    """Those in ``status`` that should have ended long ago, and that nobody has a claim on.

    One that is part of a batch is canceled first: the batch counts it, and ends.
    """

    def delete(session: Session, after: uuid.UUID | None, limit: int) -> Page:
        (page,) = _UNFINISHED.run(session, project, status, after or SMALLEST_ID, before, limit)
        for job_id in page["of_batches"]:
            CANCEL.run(session, job_id, project, new_id(), EventType.JOB_CANCELED, new_id())
        objects = deleting.delete_jobs(session, page["ids"]) if page["ids"] else []
        return Page(len(page["ids"]), page["last"] if page["looked_at"] == limit else None, objects)

    return delete


_UNLINKED: Final = Prepared(
    """
    WITH page AS MATERIALIZED (SELECT id FROM renditions WHERE id > $1 ORDER BY id LIMIT $3)
    SELECT (SELECT count(*) FROM page) AS looked_at, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last,
           ARRAY(
             SELECT id::text FROM renditions r
             WHERE id = ANY(ARRAY(SELECT id FROM page)) AND created_at < $2
               AND (SELECT count(*) FROM (SELECT FROM outputs o WHERE o.rendition_id = r.id LIMIT 1) AS one) = 0
           ) AS ids
    """,
    *("uuid", "timestamptz", "bigint"),
)


def unlinked_renditions(before: datetime.datetime) -> Old:
    """Those that were made before then and that no output links."""

    def delete(session: Session, after: uuid.UUID | None, limit: int) -> Page:
        (page,) = _UNLINKED.run(session, after or SMALLEST_ID, before, limit)
        objects = deleting.delete_unlinked_renditions(session, page["ids"]) if page["ids"] else []
        return Page(len(objects), page["last"] if page["looked_at"] == limit else None, objects)

    return delete


def _walk(table: str, condition: str) -> Prepared:
    return Prepared(
        f"""
        WITH page AS MATERIALIZED (SELECT id FROM {table} WHERE id > $1 ORDER BY id LIMIT $3),
        old AS MATERIALIZED (
          SELECT id FROM {table} w WHERE id = ANY(ARRAY(SELECT id FROM page)) AND {condition}
          FOR UPDATE OF w SKIP LOCKED
        ),
        gone AS (DELETE FROM {table} WHERE id = ANY(ARRAY(SELECT id FROM old)) RETURNING id)
        SELECT (SELECT count(*) FROM page) AS looked_at, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last,
               (SELECT count(*) FROM gone) AS deleted
        """,
        *("uuid", "timestamptz", "bigint"),
    )


#: What makes a row ``w`` an old one, $2 being the moment; tries of deliveries go with these.
_WALKS: Final[Mapping[str, Prepared]] = {
    table: _walk(table, condition)
    for table, condition in {
        "deliveries": "w.finished_at < $2",
        "job_events": "w.at < $2 AND (SELECT j.finished_at FROM jobs j WHERE j.id = w.job_id) < $2",
        "batches": """w.finished_at < $2
          AND (SELECT count(*) FROM (SELECT FROM jobs j WHERE j.batch_id = w.id LIMIT 1) AS one) = 0
          AND (SELECT count(*) FROM deliveries d WHERE d.event_id = w.id AND d.finished_at IS NULL) = 0""",
        "dead_letters": "w.created_at < $2",
        "alerts": "w.state <> 'firing' AND w.ended_at < $2",
        "alert_messages": "w.finished_at < $2",
        # One that has an archive keeps it until the archive is expired.
        "task_requests": "w.finished_at < $2 AND w.result ->> 'key' IS NULL",
        "audit": "w.at < $2",
    }.items()
}


def old_rows(table: str, before: datetime.datetime) -> Old:
    """Of one of the tables that are walked by their ids."""
    walk = _WALKS[table]

    def delete(session: Session, after: uuid.UUID | None, limit: int) -> Page:
        (page,) = walk.run(session, after or SMALLEST_ID, before, limit)
        return Page(page["deleted"], page["last"] if page["looked_at"] == limit else None)

    return delete


_SAMPLES: Final = Prepared(
    """
    WITH bound AS MATERIALIZED (
      SELECT coalesce((SELECT at FROM queue_samples WHERE at >= $1 AND at < $2 ORDER BY at OFFSET $3 LIMIT 1), $2) AS at
    ),
    gone AS (DELETE FROM queue_samples WHERE at >= $1 AND at < (SELECT at FROM bound) RETURNING at)
    SELECT (SELECT at FROM bound) AS last, (SELECT count(*) FROM gone) AS deleted
    """,
    *("timestamptz", "timestamptz", "bigint"),
)


def samples(before: datetime.datetime) -> Old:
    """Measurements of queues. Of one moment there is one of each queue, which are fewer than a page."""

    def delete(session: Session, after: datetime.datetime | None, limit: int) -> Page:
        (page,) = _SAMPLES.run(session, after or EPOCH, before, limit)
        return Page(page["deleted"], page["last"] if page["last"] < before else None)

    return delete


_REPORTS: Final = Prepared("DELETE FROM reports WHERE day < $1::date RETURNING day", "timestamptz")


def reports(before: datetime.datetime) -> Old:
    """One a day: a page has them all."""
    return lambda session, after, limit: Page(len(_REPORTS.run(session, before)), None)
