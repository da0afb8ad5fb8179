"""What is read for those who watch. Prepared SQL: it is asked each second, and with each job that ends."""

import datetime
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.database.prepared import Prepared

MOST_SCANNED: Final = 10_000
"""The last events of all projects, among which a replay looks for those of one."""

MOST_RECENT: Final = 5_000
"""Events that a look for those nobody was told of takes."""

_LOOK: Final = Prepared(
    "SELECT id::text, project, status, stage, progress, sequence FROM jobs WHERE id = ANY($1::uuid[])", "text[]"
)

_TOLD: Final = Prepared(
    f"""
    SELECT e.job_id::text, e.sequence, e.type, e.data
    FROM unnest($1::uuid[], $2::int[]) AS k(job_id, sequence) JOIN job_events e
      ON e.job_id = k.job_id AND e.sequence > k.sequence
    WHERE e.type IN ('{EventType.JOB_OUTPUT}', '{EventType.JOB_PROGRESS}') ORDER BY e.sequence
    """,
    *("text[]", "int[]"),
)

_COLUMNS: Final = """e.id::text, e.job_id::text, j.batch_id::text, j.project, e.sequence, e.type, e.at, j.status,
  j.error, j.metadata, e.data"""

_OF_JOBS: Final = Prepared(
    f"SELECT {_COLUMNS} FROM job_events e JOIN jobs j ON j.id = e.job_id WHERE e.job_id = ANY($1::uuid[])", "text[]"
)

_SINCE: Final = Prepared(
    f"""
    SELECT {_COLUMNS} FROM job_events e JOIN jobs j ON j.id = e.job_id
    WHERE e.id > $1 ORDER BY e.id DESC LIMIT {MOST_RECENT}
    """,
    "uuid",
)

_REPLAY: Final = Prepared(
    f"""
    SELECT {_COLUMNS}
    FROM (SELECT * FROM job_events WHERE id > $1 ORDER BY id DESC LIMIT {MOST_SCANNED}) e
    JOIN jobs j ON j.id = e.job_id AND j.project = $2
    ORDER BY e.id DESC LIMIT $3
    """,
    *("uuid", "text", "bigint"),
)

_NEWER: Final = Prepared(
    f"SELECT count(*) AS found FROM (SELECT FROM job_events WHERE id > $1 LIMIT {MOST_SCANNED}) newer", "uuid"
)


class EventRow(NamedTuple):
    """An event of a job, and the job's state as it is now."""

    id: str
    job_id: str
    batch_id: str | None
    project: str
    sequence: int
    type: str
    at: datetime.datetime
    status: str
    error: dict[str, Any] | None
    metadata: dict[str, Any]
    #: Of its own; that of an end says nothing.
    data: dict[str, Any]


class ToldRow(NamedTuple):
    """An event of a job that came before its end."""

    job_id: str
    sequence: int
    type: str
    data: dict[str, Any]


def told_since(session: Session, known: Sequence[tuple[str, int]]) -> list[ToldRow]:
    """Of these jobs, what came after these events; in order."""
    ids, sequences = [id for id, _ in known], [sequence for _, sequence in known]
    return [ToldRow(**row) for row in _TOLD.run(session, ids, sequences)]


def looks(session: Session, job_ids: Sequence[str]) -> list[dict[str, Any]]:
    """``id``, ``project``, ``status``, ``stage``, ``progress``, ``sequence`` of those that are there."""
    return _LOOK.run(session, list(job_ids))


def events_of(session: Session, job_ids: Sequence[str]) -> list[EventRow]:
    """All events of these jobs."""
    return [EventRow(**row) for row in _OF_JOBS.run(session, list(job_ids))]


def events_since(session: Session, first: uuid.UUID) -> list[EventRow]:
    """Of all projects, oldest first; the newest if they are very many."""
    return [EventRow(**row) for row in reversed(_SINCE.run(session, first))]


def replay(session: Session, project: str, after: uuid.UUID, most: int) -> tuple[list[EventRow], bool]:
    """The last ``most`` events of the project after an id, oldest first; and whether there may have been more."""
    rows = _REPLAY.run(session, after, project, most + 1)
    cut = len(rows) > most or _NEWER.run(session, after)[0]["found"] == MOST_SCANNED
    return [EventRow(**row) for row in reversed(rows[:most])], cut
