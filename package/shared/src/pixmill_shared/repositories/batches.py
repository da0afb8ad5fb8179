"""Batches: made, repeated, canceled, deleted. Prepared SQL: each is one statement for all of its jobs.

The statements that end a job count it in its batch; see ``endings.py``.
"""

import datetime
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import RENDER_QUEUES, Priority, QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import JobStatus, Stage
from pixmill_shared.repositories import lanes, reservations
from pixmill_shared.repositories.endings import CANCEL_BATCH
from pixmill_shared.repositories.work import WAKE_CHANNEL

REPEATED: Final = (JobStatus.FAILED, JobStatus.CANCELED)
"""What a repetition of a batch is made of."""

_INSERT: Final = Prepared(
    """
    INSERT INTO batches (id, project, total, rejected, priority, api_key_id, webhook_url, metadata, request_id,
                         retry_of)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    """,
    *("uuid", "text", "int", "jsonb", "smallint", "uuid", "text", "jsonb", "text", "uuid"),
)

# The batch is the owner of its jobs: it takes turns with others, and its items follow each other.
_JOBS: Final = """
    lane AS MATERIALIZED (
      SELECT queue, {turn} AS turn FROM (SELECT DISTINCT queue FROM item) AS q
    ),
    job AS (
      INSERT INTO jobs (id, project, kind, stage, queue, priority, api_key_id, source, source_key, source_sha256,
                        recipe, metadata, webhook_url, request_id, destination, preset, preset_version, retry_of,
                        run_at, batch_id, batch_index, owner, turn)
      SELECT i.id, batch.project, 'process', i.stage, i.queue, batch.priority, batch.api_key_id, i.source, i.source_key,
             i.source_sha256, {recipe}, i.metadata, i.webhook_url, batch.request_id, i.destination, i.preset,
             i.preset_version, i.retry_of, {run_at}, batch.id, i.index, 'batch:' || batch.id,
             lane.turn + row_number() OVER (PARTITION BY i.queue ORDER BY i.index) - 1
      FROM item i JOIN lane USING (queue), batches AS batch WHERE batch.id = $1
      RETURNING id, batch_index
    )"""

# Most items share a recipe: each is sent once.
_INSERT_JOBS: Final = Prepared(
    f"""
    WITH item AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($2) AS i(
        id uuid, index smallint, stage text, queue text, source jsonb, source_key text, source_sha256 text, recipe int,
        metadata jsonb, webhook_url text, destination text, preset text, preset_version int, retry_of uuid,
        uploads uuid[])
    ),
    {
        _JOBS.format(
            turn=lanes.next_turn("q.queue", "$5", "'batch:' || $1"),
            recipe="$3 -> i.recipe",
            run_at="CASE WHEN $4 > clock_timestamp() THEN $4 END",
        )
    },
    used AS (
      INSERT INTO job_uploads (job_id, upload_id)
      SELECT item.id, upload_id FROM item, unnest(item.uploads) AS upload_id
    )
    SELECT pg_notify('{WAKE_CHANNEL}', '') FROM job LIMIT 1
    """,
    *("uuid", "jsonb", "jsonb", "timestamptz", "smallint"),
)

_RENDER_QUEUE: Final = " ".join(f"WHEN {priority.rank} THEN '{queue}'" for priority, queue in RENDER_QUEUES.items())
_SOME: Final = ", ".join(f"'{status}'" for status in REPEATED)

# A source whose bytes were stored is not fetched again. The origins stay until the transaction ends: whoever deletes
# one looks then whether its source is needed.
_REPEAT_JOBS: Final = Prepared(
    f"""
    WITH origin AS MATERIALIZED (
      SELECT * FROM jobs WHERE batch_id = $2 AND status IN ({_SOME}) ORDER BY id FOR KEY SHARE
    ),
    placed AS (SELECT o.*, row_number() OVER (ORDER BY o.batch_index) AS place FROM origin o),
    item AS MATERIALIZED (
      SELECT new.id::uuid, o.batch_index AS index, o.source, o.source_key, o.source_sha256, o.recipe,
             o.metadata, o.webhook_url, o.destination, o.preset, o.preset_version, o.id AS retry_of,
             CASE WHEN o.source_key IS NULL THEN '{Stage.FETCH}' ELSE '{Stage.RENDER}' END AS stage,
             CASE WHEN o.source_key IS NULL THEN '{QueueName.FETCH}'
                  ELSE CASE o.priority {_RENDER_QUEUE} END END AS queue
      FROM placed o JOIN unnest($3) WITH ORDINALITY AS new(id, place) USING (place)
    ),
    {_JOBS.format(turn=lanes.next_turn("q.queue", "$4", "'batch:' || $1"), recipe="i.recipe", run_at="NULL")},
    used AS (
      INSERT INTO job_uploads (job_id, upload_id)
      SELECT item.id, u.upload_id FROM item JOIN job_uploads u ON u.job_id = item.retry_of
    )
    SELECT id, batch_index AS index, pg_notify('{WAKE_CHANNEL}', '') FROM job ORDER BY batch_index
    """,
    *("uuid", "uuid", "text[]", "smallint"),
)

_COUNT_REPEATED: Final = Prepared(
    f"SELECT count(*) AS jobs FROM jobs WHERE batch_id = $1 AND status IN ({_SOME})", "uuid"
)

_UPLOADS: Final = Prepared(
    """
    SELECT id, key, sha256, bytes FROM uploads WHERE id = ANY($2::uuid[]) AND project = $1 ORDER BY id FOR KEY SHARE
    """,
    *("text", "text[]"),
)


@dataclass(frozen=True)
class NewBatch:
    """``rejected``: items that no job is made of, as ``[{index, errors: [{pointer, detail}]}]``."""

    id: uuid.UUID
    project: str
    total: int
    priority: int
    rejected: Sequence[dict[str, Any]] = ()
    api_key_id: uuid.UUID | None = None
    webhook_url: str | None = None
    metadata: dict[str, Any] | None = None
    request_id: str | None = None
    #: The batch that this one repeats.
    retry_of: uuid.UUID | None = None
    #: Of all its jobs.
    run_at: datetime.datetime | None = None


@dataclass(frozen=True)
class NewItem:
    """One job of it; ``recipe`` is the place of its recipe among those that come along, ``uploads`` are what that
    needs beside the source.
    """

    id: uuid.UUID
    index: int
    recipe: int
    source: dict[str, Any]
    source_key: str | None = None
    source_sha256: str | None = None
    metadata: dict[str, Any] | None = None
    webhook_url: str | None = None
    destination: str | None = None
    preset: str | None = None
    preset_version: int | None = None
    uploads: Collection[uuid.UUID] = ()

    def row(self, priority: Priority) -> dict[str, Any]:
        """As the statement takes it. A source whose bytes are there is not fetched."""
        stored = self.source_key is not None
        return {
            **vars(self),
            "id": str(self.id),
            "metadata": self.metadata or {},
            "uploads": [str(upload_id) for upload_id in self.uploads],
            "stage": Stage.RENDER if stored else Stage.FETCH,
            "queue": RENDER_QUEUES[priority] if stored else QueueName.FETCH,
        }


def insert(session: Session, batch: NewBatch, items: Sequence[NewItem], recipes: Sequence[dict[str, Any]]) -> None:
    """The batch with all its jobs, in two statements; the dispatcher is notified at commit."""
    _insert(session, batch)
    priority = Priority.of_rank(batch.priority)
    rows = json.dumps([item.row(priority) for item in items])
    _INSERT_JOBS.run(session, batch.id, rows, json.dumps(list(recipes)), batch.run_at, batch.priority)


def count_repeated(session: Session, batch_id: uuid.UUID) -> int:
    """How many jobs of a batch that has ended a repetition of it is made of."""
    return int(_COUNT_REPEATED.run(session, batch_id)[0]["jobs"])


def repeat(session: Session, batch: NewBatch) -> list[dict[str, Any]]:
    """What did not come to its end in ``batch.retry_of``, as ``batch`` of ``batch.total`` jobs. ``index`` and ``id`` of
    each; they are fewer than ``total`` if some were deleted in the meantime.
    """
    _insert(session, batch)
    ids = sorted(str(new_id()) for _ in range(batch.total))
    return _REPEAT_JOBS.run(session, batch.id, batch.retry_of, ids, batch.priority)


def cancel(session: Session, batch_id: uuid.UUID, project: str) -> int:
    """All its jobs that have not ended, whoever works on them; how many."""
    found = CANCEL_BATCH.run(session, batch_id, project, new_id(), EventType.JOB_CANCELED, new_id())[0]
    reservations.wake(session, found["released"] or [])
    return int(found["jobs"])


def uploads_of(session: Session, project: str, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    """``key``, ``sha256`` and ``bytes`` of those that are the project's; they stay until the transaction ends, and with
    the jobs that are made of them after it.
    """
    if not ids:
        return {}
    return {uuid.UUID(str(row["id"])): row for row in _UPLOADS.run(session, project, [str(each) for each in ids])}


def _insert(session: Session, batch: NewBatch) -> None:
    _INSERT.run(
        session,
        *(batch.id, batch.project, batch.total, json.dumps(list(batch.rejected)), batch.priority, batch.api_key_id),
        *(batch.webhook_url, batch.metadata or {}, batch.request_id, batch.retry_of),
    )
