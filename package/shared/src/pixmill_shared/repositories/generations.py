"""Jobs that generate pictures: made at once, with their chunks and items; found again. The claims of chunks are in
``chunks.py``.
"""

import datetime
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.models import Generation, GenerationItem
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.generation import PREFIXES, SHARE, Fallback, Form
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import JobKind, Stage
from pixmill_shared.repositories import lanes
from pixmill_shared.repositories.work import WAKE_CHANNEL

_RECENT: Final = 50
"""Pictures that the time for one is learned from."""

# The job's own row is in no queue that anything is published into: its chunks are. Those beyond the job's share wait
# until another one of it has ended. One chunk a turn, so that a list of a thousand does not hold up one thing.
_INSERT = Prepared(
    f"""
    WITH lane AS (SELECT {lanes.reached(f"'{QueueName.GENERATE}'", "$3")} + 1 AS turn),
    job AS (
      INSERT INTO jobs (id, project, kind, stage, queue, priority, api_key_id, source, recipe, metadata, webhook_url,
                        request_id, destination, retry_of, run_at, owner, turn, preset, preset_version)
      SELECT $1, $2, '{JobKind.GENERATE}', '{Stage.GENERATE}', '{QueueName.GENERATE}', $3, $4, '{{}}', $5, $6, $7, $8,
             $9, $10, CASE WHEN $11 > clock_timestamp() THEN $11 END, $12, lane.turn, $13, $14
      FROM lane RETURNING created_at, run_at
    ),
    generation AS (
      INSERT INTO generations (job_id, fallback, cache, form, categories, total_items, total_chunks)
      VALUES ($1, $15, $16, $17, $18, json_array_length($19), cardinality($20))
    ),
    chunk AS (
      INSERT INTO generation_chunks (id, project, status, queue, priority, turn, run_at, job_id, position)
      SELECT c.id::uuid, $2, CASE WHEN c.position <= $21 THEN 'queued' ELSE 'waiting' END, '{QueueName.GENERATE}', $3,
             lane.turn + least(c.position, $21) - 1, CASE WHEN c.position <= $21 THEN job.run_at END, $1, c.position - 1
      FROM lane, job, unnest($20) WITH ORDINALITY AS c(id, position)
    ),
    item AS (
      INSERT INTO generation_items (job_id, position, chunk_id, category, name, prompt, details, file_name)
      SELECT $1, i.position, i.chunk_id, i.category, i.name, i.prompt, i.details,
             $22 || i.safe_name || to_char(now() AT TIME ZONE 'UTC', '_YYYYMMDD_HH24MISS')
      FROM json_to_recordset($19) AS i(
        position int, chunk_id uuid, category text, name text, prompt text, details json, safe_name text)
    )
    SELECT created_at, pg_notify('{WAKE_CHANNEL}', '') FROM job
    """,
    *("uuid", "text", "smallint", "uuid", "jsonb", "jsonb", "text", "text", "text", "uuid", "timestamptz", "text"),
    *("text", "integer", "text", "boolean", "text", "jsonb", "json", "text[]", "bigint", "text"),
)

_TYPICAL = Prepared(
    f"""
    SELECT avg(duration_ms)::float8 / 1000 AS seconds FROM (
      SELECT duration_ms FROM generation_items WHERE success AND NOT cached ORDER BY finished_at DESC LIMIT {_RECENT}
    ) AS made
    """
)

# Those within the first condition are few; the second one is ``domain.generation.time_limit``.
_OVERDUE = Prepared(
    f"""
    SELECT j.id, g.total_items FROM jobs j JOIN generations g ON g.job_id = j.id
    WHERE j.kind = '{JobKind.GENERATE}' AND j.finished_at IS NULL AND j.status = 'processing'
      AND j.started_at < statement_timestamp() - make_interval(secs => $1)
      AND j.started_at < statement_timestamp() - make_interval(secs => $1 * g.total_items / {SHARE})
    ORDER BY j.started_at LIMIT 100 FOR NO KEY UPDATE OF j SKIP LOCKED
    """,
    "double precision",
)


@dataclass(frozen=True)
class NewItem:
    """``details``: as it was given; ``safe_name``: for its file, no other item's; ``chunk``: its chunk's position."""

    category: str
    name: str
    prompt: str
    safe_name: str
    chunk: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewGeneration:
    """A validated submission. ``at_once``: chunks that may be worked on at the same time."""

    project: str
    priority: int
    recipe: dict[str, Any]
    items: Sequence[NewItem]
    categories: Sequence[str]
    at_once: int
    fallback: Fallback = Fallback.PLACEHOLDER
    cache: bool = True
    form: Form = Form.GENERAL
    api_key_id: uuid.UUID | None = None
    metadata: dict[str, Any] | None = None
    webhook_url: str | None = None
    request_id: str | None = None
    destination: str | None = None
    retry_of: uuid.UUID | None = None
    run_at: datetime.datetime | None = None
    preset: str | None = None
    preset_version: int | None = None

    @property
    def chunks(self) -> int:
        return max(item.chunk for item in self.items) + 1


def insert(session: Session, new: NewGeneration) -> uuid.UUID:
    """One statement; the dispatcher is notified at commit."""
    job_id = new_id()
    # Ids order what has one turn: ids of one millisecond come in any order.
    chunk_ids = sorted(str(new_id()) for _ in range(new.chunks))
    _INSERT.run(
        session,
        *(job_id, new.project, new.priority, new.api_key_id, new.recipe, new.metadata or {}, new.webhook_url),
        *(new.request_id, new.destination, new.retry_of, new.run_at, lanes.owner_of(new.project)),
        *(new.preset, new.preset_version, new.fallback, new.cache, new.form, json.dumps(list(new.categories))),
        json.dumps([_row(position, item, chunk_ids) for position, item in enumerate(new.items)]),
        *(chunk_ids, new.at_once, PREFIXES[new.form]),
    )
    return job_id


def _row(position: int, item: NewItem, chunk_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "position": position,
        "chunk_id": chunk_ids[item.chunk],
        "category": item.category,
        "name": item.name,
        "prompt": item.prompt,
        "details": item.details,
        "safe_name": item.safe_name,
    }


def typical_seconds(session: Session) -> float | None:
    """That a picture took to be made, of the last ones; None: none was made yet."""
    seconds: float | None = _TYPICAL.run(session)[0]["seconds"]
    return seconds


def overdue(session: Session, timeout: float) -> dict[uuid.UUID, int]:
    """Jobs that have taken longer than they may, locked, and how many items each has."""
    return {row["id"]: row["total_items"] for row in _OVERDUE.run(session, timeout)}


def find(session: Session, job_id: uuid.UUID) -> Generation | None:
    """None for a job of another kind."""
    return session.get(Generation, job_id)


def find_all(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Generation]:
    """By job, of those that generate."""
    rows = session.scalars(select(Generation).where(Generation.job_id.in_(job_ids)))
    return {row.job_id: row for row in rows}


def items_of(
    session: Session, job_id: uuid.UUID, *, after: int = -1, limit: int | None = None
) -> Sequence[GenerationItem]:
    """In the order of the request, those behind the position ``after``."""
    query = select(GenerationItem).where(GenerationItem.job_id == job_id, GenerationItem.position > after)
    return session.scalars(query.order_by(GenerationItem.position).limit(limit)).all()
