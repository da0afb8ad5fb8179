"""The figures of a day, from rows that are found by their end (``ix_jobs_finished``) or by the time in their id."""

import datetime
import math
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pixmill_notifier.domain.digest import Figures, Growth, Slow
from pixmill_shared.database.models import Report
from pixmill_shared.domain.ids import least_id

REASONS: Final = 10
SLOWEST: Final = 5
SAMPLE: Final = 100_000
"""Jobs that durations and bytes are taken of: of a day with more, every n-th, by the random end of its id. All of a
million took 40 s on a busy machine, for the same percentiles."""

_DAY: Final = "finished_at >= :start AND finished_at < :end"

_SAMPLED: Final = "('x' || right(id::text, 6))::bit(24)::int % :every = 0"

_STATUSES = text(f"SELECT status, count(*) AS jobs FROM jobs WHERE {_DAY} GROUP BY status")

_REASONS = text(f"""
    SELECT coalesce(error->>'code', 'unknown') AS code, count(*) AS jobs FROM jobs
    WHERE {_DAY} AND status = 'failed' GROUP BY 1 ORDER BY jobs DESC, code LIMIT {REASONS}
""")

_DURATIONS = text(f"""
    SELECT percentile_cont(ARRAY[.5, .95]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)::float8)
    FROM jobs WHERE {_DAY} AND status = 'completed' AND {_SAMPLED}
""")

_SLOWEST = text(f"""
    SELECT id, extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM jobs
    WHERE {_DAY} AND status = 'completed' AND started_at IS NOT NULL
    ORDER BY finished_at - started_at DESC LIMIT {SLOWEST}
""")

# Sources whose size is known: of what only links renditions it is not asked for.
_BYTES = text(f"""
    WITH done AS (
      SELECT id, (source->>'bytes')::bigint AS bytes FROM jobs
      WHERE {_DAY} AND status = 'completed' AND {_SAMPLED} AND jsonb_typeof(source->'bytes') = 'number'
    )
    SELECT coalesce((SELECT sum(bytes) FROM done), 0)::bigint AS source_bytes, coalesce((
      SELECT sum(r.bytes) FROM done JOIN outputs o ON o.job_id = done.id JOIN renditions r ON r.id = o.rendition_id
    ), 0)::bigint AS output_bytes
""")

_LETTERS = text("""
    SELECT task, count(*) AS letters FROM dead_letters
    WHERE created_at >= :start AND created_at < :end GROUP BY task ORDER BY letters DESC, task LIMIT 10
""")

_SUBMITTED = text("SELECT count(*) FROM jobs WHERE id >= :first AND id < :last")
_UPLOADS, _RENDITIONS = (
    text(f"""
        SELECT count(*) AS objects, coalesce(sum(bytes), 0)::bigint AS bytes FROM {table}
        WHERE id >= :first AND id < :last
    """)
    for table in ("uploads", "renditions")
)


def reserve(session: Session, day: datetime.date) -> bool:
    """Whether this transaction is the one that sends the day's report. Who comes second waits for the first to end."""
    row = insert(Report).values(day=day, figures={}).on_conflict_do_nothing().returning(Report.day)
    return session.scalar(row) is not None


def keep(session: Session, day: datetime.date, figures: dict[str, Any]) -> None:
    session.get_one(Report, day).figures = figures


def is_missed(session: Session, day: datetime.date) -> bool:
    """No report of ``day``, although there is one of the day before it: the schedule asked for them."""
    before = day - datetime.timedelta(days=1)
    made = set(session.scalars(select(Report.day).where(Report.day.in_((before, day)))))
    return made == {before}


def figures_of(
    session: Session,
    day: datetime.date,
    zone: str,
    window: tuple[datetime.datetime, datetime.datetime],
    disk_percent: float | None,
) -> Figures:
    """Of the day that ``window`` holds, from its first moment to that of the next."""
    ended = {"start": window[0], "end": window[1]}
    made = {"first": least_id(window[0]), "last": least_id(window[1])}
    statuses = {row.status: row.jobs for row in session.execute(_STATUSES, ended)}
    every = max(math.ceil(statuses.get("completed", 0) / SAMPLE), 1)
    middle, late = session.execute(_DURATIONS, {**ended, "every": every}).scalar() or (None, None)
    weights = session.execute(_BYTES, {**ended, "every": every}).one()
    return Figures(
        day=day.isoformat(),
        zone=zone,
        submitted=session.execute(_SUBMITTED, made).scalar_one(),
        completed=statuses.get("completed", 0),
        failed=statuses.get("failed", 0),
        canceled=statuses.get("canceled", 0),
        reasons={row.code: row.jobs for row in session.execute(_REASONS, ended)},
        p50=middle,
        p95=late,
        slowest=[Slow(str(row.id), row.seconds) for row in session.execute(_SLOWEST, ended)],
        source_bytes=weights.source_bytes * every,
        output_bytes=weights.output_bytes * every,
        dead_letters={row.task: row.letters for row in session.execute(_LETTERS, ended)},
        uploads=_growth(session, _UPLOADS, made),
        renditions=_growth(session, _RENDITIONS, made),
        disk_percent=disk_percent,
        sampled=every > 1,
    )


def _growth(session: Session, query: Any, made: dict[str, Any]) -> Growth:
    row = session.execute(query, made).one()
    return Growth(row.objects, row.bytes)
