"""Jobs as the API shows them. ``place`` is prepared SQL, because every submission asks it; the rest is SQLAlchemy."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Row, and_, false, literal_column, or_, select
from sqlalchemy.orm import Session

from pixmill_api.domain.metadata_filters import Filter
from pixmill_shared.database.models import Job, Output, Rendition
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import least_id
from pixmill_shared.domain.jobs import JobKind, JobStatus

MAX_POSITION: Final = 1_000
"""Above it nobody counts: the look-up must cost the same with a million rows."""

MOST_SHOWN: Final = 1_000
MOST_LISTED: Final = 100
"""Outputs of a job that it is shown with, alone and among others. More than a recipe may have, but a job that generates
has those of its recipe for each item.
"""

SKEW: Final = datetime.timedelta(hours=1)
"""By which clocks may differ, at most."""
_FIRST: Final = datetime.datetime(1971, 1, 1, tzinfo=datetime.UTC)
_LAST: Final = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)

# Rows that were published go first, in the order of publishing; then the ready ones, as the dispatcher takes them.
_PLACE = Prepared(
    f"""
    SELECT j.created_at, j.run_at, CASE WHEN j.run_at IS NULL THEN (
      SELECT count(*) FROM (
        (SELECT 1 FROM jobs a
         WHERE a.queue = j.queue AND a.status = 'queued' AND a.dispatched_at IS NOT NULL
           AND (j.dispatched_at IS NULL OR a.dispatched_at < j.dispatched_at)
         LIMIT {MAX_POSITION + 1})
        UNION ALL
        (SELECT 1 FROM jobs a
         WHERE j.dispatched_at IS NULL AND a.queue = j.queue AND a.status = 'queued' AND a.dispatched_at IS NULL
           AND a.run_at IS NULL AND (a.priority, a.turn, a.id) < (j.priority, j.turn, j.id)
         LIMIT {MAX_POSITION + 1})
      ) AS ahead
    ) END AS ahead
    FROM jobs j WHERE j.id = $1 AND j.status = 'queued'
    """,
    "uuid",
)


class Place(NamedTuple):
    """``position`` is how many rows of the queue come first; None above 1,000, and for a job that is not due."""

    created_at: datetime.datetime
    run_at: datetime.datetime | None
    position: int | None


def _id_of(moment: datetime.datetime, skew: datetime.timedelta) -> uuid.UUID:
    return least_id(min(max(moment, _FIRST), _LAST) + skew)


def place(session: Session, job_id: uuid.UUID) -> Place | None:
    """None for a job that is not queued."""
    rows = _PLACE.run(session, job_id)
    if not rows:
        return None
    row = rows[0]
    counted = row["ahead"] is not None and row["ahead"] <= MAX_POSITION
    return Place(row["created_at"], row["run_at"], row["ahead"] if counted else None)


@dataclass(frozen=True)
class WhichJobs:
    """Of one project; None: whichever. ``since`` included, ``until`` not. The job's metadata must contain a document of
    each filter.
    """

    project: str
    status: JobStatus | None = None
    kind: JobKind | None = None
    batch_id: uuid.UUID | None = None
    pipeline_id: uuid.UUID | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    metadata: tuple[Filter, ...] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [Job.project == self.project]
        if self.status is not None:
            found.append(Job.status == self.status)
        if self.kind is not None:
            found.append(Job.kind == self.kind)
        if self.batch_id is not None:
            found.append(Job.batch_id == self.batch_id)
        if self.pipeline_id is not None:
            # Not by an equal one: the order would then be that of all jobs of the project, of which a pipeline may have
            # made few, and long ago.
            found += [Job.pipeline_id >= self.pipeline_id, Job.pipeline_id <= self.pipeline_id]
        # Ids are minted by the API's clocks, shortly before the row has its time from the database's.
        if self.since is not None:
            found += [Job.created_at >= self.since, Job.id >= _id_of(self.since, -SKEW)]
        if self.until is not None:
            found += [Job.created_at < self.until, Job.id < _id_of(self.until, SKEW)]
        if self.metadata:
            # As the index says it, or it is not used.
            found.append(literal_column("jobs.metadata <> '{}'", Boolean))
        found += [or_(false(), *(Job.job_metadata.contains(each) for each in one)) for one in self.metadata]
        return found


def page(session: Session, which: WhichJobs, *, limit: int, before: uuid.UUID | None) -> Sequence[Job]:
    """Newest first, one more than ``limit`` if there are more."""
    query = select(Job).where(*which.conditions())
    if before is not None:
        query = query.where(Job.id < before)
    order = (Job.id.desc(),) if which.pipeline_id is None else (Job.pipeline_id.desc(), Job.id.desc())
    return session.scalars(query.order_by(*order).limit(limit + 1)).all()


def outputs_of_all(
    session: Session, job_ids: Sequence[uuid.UUID], most: int = MOST_LISTED
) -> dict[uuid.UUID, list[Row[Output, Rendition]]]:
    """By job, in the recipe's order, those with the first ``most`` positions."""
    return _outputs(session, Output.job_id.in_(job_ids), Output.position < most)


def outputs_named(
    session: Session, names: Mapping[uuid.UUID, Sequence[str]]
) -> dict[uuid.UUID, list[Row[Output, Rendition]]]:
    """Of some jobs, outputs by name; in their order."""
    return _outputs(session, or_(*(and_(Output.job_id == job, Output.name.in_(names[job])) for job in names)))


def _outputs(session: Session, *conditions: ColumnElement[bool]) -> dict[uuid.UUID, list[Row[Output, Rendition]]]:
    query = select(Output, Rendition).join(Rendition, Output.rendition_id == Rendition.id)
    found: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in session.execute(query.where(*conditions).order_by(Output.position)):
        found[row[0].job_id].append(row)
    return found
