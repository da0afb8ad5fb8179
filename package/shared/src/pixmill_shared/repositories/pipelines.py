"""Pipelines at work: claimed, what they found made into jobs, ended. Claim and jobs are prepared SQL, the rest is
SQLAlchemy.

Each write after a claim carries ``id`` and ``fence`` in its WHERE: a worker that lost its claim writes nothing. An item
and its job are inserted by one statement, and whether the item is new decides for both.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.models import Pipeline, PipelineRun
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.pipelines import MOST_RUNS_KEPT, RunStatus, RunTrigger
from pixmill_shared.repositories import lanes
from pixmill_shared.repositories.endings import minted
from pixmill_shared.repositories.receivers import left_alone_until
from pixmill_shared.repositories.work import WAKE_CHANNEL

# A run that its worker did not end is gone on with, by whoever finds its lease run out.
_CLAIM: Final = Prepared(
    f"""
    WITH due AS MATERIALIZED (
      SELECT id FROM pipelines
      WHERE (lease_until IS NULL OR lease_until < clock_timestamp())
        AND (lease_until IS NOT NULL OR requested_at IS NOT NULL
             OR (paused_at IS NULL AND run_at <= clock_timestamp()))
      ORDER BY least(run_at, requested_at) LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ),
    claimed AS (
      UPDATE pipelines p
      SET fence = fence + 1, claimed_by = $1, lease_until = clock_timestamp() + make_interval(secs => $2),
          last_run_at = clock_timestamp()
      FROM due WHERE p.id = due.id RETURNING p.*
    ),
    unfinished AS (
      SELECT r.id FROM pipeline_runs r JOIN claimed c ON c.id = r.pipeline_id
      WHERE r.finished_at IS NULL ORDER BY r.id LIMIT 1
    ),
    begun AS (
      INSERT INTO pipeline_runs (id, pipeline_id, trigger, status, attempts, started_at)
      SELECT $3, c.id, '{RunTrigger.SCHEDULE}', '{RunStatus.RUNNING}', 1, clock_timestamp()
      FROM claimed c WHERE NOT EXISTS (SELECT FROM unfinished) AND c.paused_at IS NULL AND c.run_at <= clock_timestamp()
      RETURNING *
    ),
    resumed AS (
      UPDATE pipeline_runs r
      SET status = '{RunStatus.RUNNING}', attempts = attempts + 1,
          started_at = coalesce(started_at, clock_timestamp())
      FROM unfinished WHERE r.id = unfinished.id RETURNING r.*
    ),
    run AS (SELECT * FROM begun UNION ALL SELECT * FROM resumed)
    SELECT c.id, c.project, c.fence, c.source, c.recipe, c.cursor, c.api_key_id, run.id AS run_id, run.dry_run,
           run.attempts
    FROM claimed c JOIN run ON run.pipeline_id = c.id
    """,
    *("text", "double precision", "uuid"),
)

_TAKE: Final = Prepared(
    f"""
    WITH pipeline AS (
      UPDATE pipelines SET lease_until = clock_timestamp() + make_interval(secs => $3)
      WHERE id = $1 AND fence = $2 AND lease_until IS NOT NULL RETURNING *
    ),
    wanted AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($5) AS w(id uuid, job_id uuid, key text, location text, source jsonb)
    ),
    item AS (
      INSERT INTO pipeline_items (pipeline_id, key, id, location, job_id)
      SELECT p.id, w.key, w.id, w.location, w.job_id FROM wanted w, pipeline p
      ON CONFLICT DO NOTHING RETURNING job_id
    ),
    lane AS MATERIALIZED (
      SELECT {lanes.next_turn(f"'{QueueName.FETCH}'", "p.priority", "'pipeline:' || p.id")} AS turn FROM pipeline p
    ),
    job AS (
      INSERT INTO jobs (id, project, kind, stage, queue, priority, api_key_id, source, recipe, metadata, webhook_url,
                        request_id, destination, preset, preset_version, pipeline_id, owner, turn)
      SELECT w.job_id, p.project, 'process', '{Stage.FETCH}', '{QueueName.FETCH}', p.priority, p.api_key_id, w.source,
             p.recipe, p.metadata, p.webhook_url, 'pipeline-' || $4, p.destination, split_part(p.preset, '@', 1),
             p.preset_version, p.id, 'pipeline:' || p.id, lane.turn + row_number() OVER (ORDER BY w.job_id) - 1
      FROM item JOIN wanted w USING (job_id), pipeline p, lane
      RETURNING id
    ),
    used AS (
      INSERT INTO job_uploads (job_id, upload_id) SELECT job.id, each::uuid FROM job, unnest($6) AS each
    ),
    run AS (
      UPDATE pipeline_runs SET created = created + (SELECT count(*) FROM job)
      WHERE id = $4 AND EXISTS (SELECT FROM job)
    )
    SELECT (SELECT count(*) FROM job) AS jobs,
           (SELECT pg_notify('{WAKE_CHANNEL}', '') FROM job LIMIT 1) AS told
    FROM pipeline
    """,
    *("uuid", "bigint", "double precision", "uuid", "jsonb", "text[]"),
)

_KNOWN: Final = Prepared("SELECT key FROM pipeline_items WHERE pipeline_id = $1 AND key = ANY($2)", *("uuid", "text[]"))

_TELL: Final = Prepared(
    f"""
    WITH told AS (
      SELECT $2 AS id, p.project, NULL::uuid AS endpoint_id, p.webhook_url AS url, p.api_key_id
      FROM pipelines p WHERE p.id = $1 AND p.webhook_url IS NOT NULL
      UNION ALL
      SELECT {minted("$2")}, p.project, e.id, e.url, p.api_key_id
      FROM pipelines p JOIN endpoints e ON e.project = p.project
      WHERE p.id = $1 AND e.disabled_at IS NULL
        AND (e.events = '{{}}' OR '{EventType.PIPELINE_FAILED}' = ANY(e.events))
    ),
    delivery AS (
      INSERT INTO deliveries (id, project, queue, event_id, event_type, data, api_key_id, endpoint_id, url, run_at)
      SELECT told.id, told.project, '{QueueName.NOTIFIER}', $3, '{EventType.PIPELINE_FAILED}', $4, told.api_key_id,
             told.endpoint_id, told.url, {left_alone_until("told.url")}
      FROM told RETURNING id
    )
    SELECT count(*) AS told, pg_notify('{WAKE_CHANNEL}', '') FROM delivery
    """,
    *("uuid", "uuid", "uuid", "jsonb"),
)


@dataclass(frozen=True)
class ClaimedPipeline:
    """What a worker needs of the row and of its run; ``attempts`` counts this claim of the run."""

    id: uuid.UUID
    project: str
    fence: int
    source: dict[str, Any]
    recipe: dict[str, Any]
    cursor: dict[str, Any]
    api_key_id: uuid.UUID | None
    run_id: uuid.UUID
    dry_run: bool
    attempts: int


@dataclass(frozen=True)
class NewItem:
    """``source`` is that of its job."""

    key: str
    location: str
    source: dict[str, Any]


def claim(session: Session, worker: str, lease: float) -> ClaimedPipeline | None:
    """A pipeline that is due and its run, for ``lease`` seconds. None: there is none that nobody works on."""
    rows = _CLAIM.run(session, worker, lease, new_id())
    return ClaimedPipeline(**rows[0]) if rows else None


def take(
    session: Session,
    claimed: ClaimedPipeline,
    items: Sequence[NewItem],
    uploads: Collection[uuid.UUID],
    lease: float,
) -> int | None:
    """Make jobs of those items that are new, and hold the claim for ``lease`` seconds from now. How many; None: the
    claim was lost, and nothing was written. ``uploads``: what the recipe needs.
    """
    # Ids sort by time: those of the jobs in the order of the items.
    own, jobs = (sorted(str(new_id()) for _ in items) for _ in range(2))
    rows = [
        {"id": item_id, "job_id": job_id, **vars(item)} for item, item_id, job_id in zip(items, own, jobs, strict=True)
    ]
    made = _TAKE.run(
        *(session, claimed.id, claimed.fence, lease, claimed.run_id, json.dumps(rows)),
        [str(each) for each in sorted(uploads)],
    )
    return int(made[0]["jobs"]) if made else None


def known(session: Session, pipeline_id: uuid.UUID, keys: Sequence[str]) -> set[str]:
    """Those of ``keys`` that became jobs before."""
    return {row["key"] for row in _KNOWN.run(session, pipeline_id, list(keys))} if keys else set()


def locked(session: Session, claimed: ClaimedPipeline) -> Pipeline | None:
    """The row under the claim, as it is now; None: the claim was lost."""
    query = select(Pipeline).where(
        Pipeline.id == claimed.id, Pipeline.fence == claimed.fence, Pipeline.lease_until.is_not(None)
    )
    return session.scalar(query.with_for_update(key_share=True))


def end(
    session: Session,
    row: Pipeline,
    run_id: uuid.UUID,
    status: RunStatus,
    **outcome: Any,
) -> PipelineRun:
    """The run, and the claim, of a row that is locked. ``outcome``: columns of the run."""
    run = session.get_one(PipelineRun, run_id)
    run.status, run.finished_at = status, func.clock_timestamp()
    for name, value in outcome.items():
        setattr(run, name, value)
    row.lease_until = row.claimed_by = None
    session.flush()
    _ask_for_what_waits(session, row)
    _forget_old(session, row.id)
    return run


def interrupt(session: Session, row: Pipeline, *, queued: bool = False) -> None:
    """What runs ends without a word, and what is ``queued`` too: the row was changed or paused, and is locked."""
    row.fence += 1
    row.lease_until = row.claimed_by = None
    ended = [RunStatus.RUNNING, RunStatus.QUEUED] if queued else [RunStatus.RUNNING]
    session.execute(
        update(PipelineRun)
        .where(PipelineRun.pipeline_id == row.id, PipelineRun.finished_at.is_(None), PipelineRun.status.in_(ended))
        .values(status=RunStatus.CANCELED, finished_at=func.clock_timestamp())
    )
    _ask_for_what_waits(session, row)


def request(session: Session, row: Pipeline, *, dry_run: bool) -> PipelineRun:
    """A run of a row that is locked; one that waits already is the one."""
    waiting = session.scalar(
        select(PipelineRun).where(
            PipelineRun.pipeline_id == row.id,
            PipelineRun.status == RunStatus.QUEUED,
            PipelineRun.finished_at.is_(None),
            PipelineRun.dry_run == dry_run,
        )
    )
    if waiting is not None:
        return waiting
    run = PipelineRun(id=new_id(), pipeline_id=row.id, trigger=RunTrigger.REQUEST, dry_run=dry_run)
    session.add(run)
    if row.requested_at is None:
        row.requested_at = func.clock_timestamp()
    session.flush()
    session.refresh(run)
    return run


def follow(session: Session, project: str, preset: str, version: int, recipe: dict[str, Any]) -> None:
    """New jobs of the project's pipelines that name the preset, and no version of it, do what its newest says."""
    session.execute(
        update(Pipeline)
        .where(Pipeline.project == project, Pipeline.preset == preset)
        .values(preset_version=version, recipe=recipe)
    )


def tell_failed(session: Session, pipeline_id: uuid.UUID, data: dict[str, Any]) -> int:
    """``pipeline.failed`` to everyone who is told; how many."""
    rows = _TELL.run(session, pipeline_id, new_id(), new_id(), data)
    return int(rows[0]["told"]) if rows else 0


def _ask_for_what_waits(session: Session, row: Pipeline) -> None:
    """It is due for requests that are not done, and no longer than there are any."""
    row.requested_at = session.scalar(
        select(func.min(PipelineRun.created_at)).where(
            PipelineRun.pipeline_id == row.id, PipelineRun.finished_at.is_(None)
        )
    )


def _forget_old(session: Session, pipeline_id: uuid.UUID) -> None:
    oldest = (
        select(PipelineRun.id)
        .where(PipelineRun.pipeline_id == pipeline_id)
        .order_by(PipelineRun.id.desc())
        .offset(MOST_RUNS_KEPT)
        .limit(1)
        .scalar_subquery()
    )
    session.execute(
        delete(PipelineRun).where(
            PipelineRun.pipeline_id == pipeline_id, PipelineRun.id <= oldest, PipelineRun.finished_at.is_not(None)
        )
    )
