"""The statements that end jobs for good: with events, deliveries, what they made, and what their batch counts, all at
once.

Each locks rows of jobs first, then reservations, then renditions, and the row of the batch last: jobs of one batch that
end at the same moment wait for each other there, holding nothing that the one before them still needs.
"""

from typing import Final

from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.batches import BatchStatus
from pixmill_shared.domain.jobs import JobStatus, Transition, sources_of
from pixmill_shared.repositories.receivers import left_alone_until
from pixmill_shared.repositories.reservations import RELEASED
from pixmill_shared.repositories.work import WAKE_CHANNEL

# Which job ended, for those who watch it; the dispatcher wakes up whatever it says.
_TELL: Final = f"""pg_notify('{WAKE_CHANNEL}', jsonb_build_object(
      'job', job.id, 'batch', job.batch_id, 'project', job.project)::text)"""


def minted(example: str) -> str:
    """One more id. Ids sort by time: the first half is that of ``example``, which came with the call."""
    return f"overlay(gen_random_uuid()::text PLACING left({example}::text, 15) FROM 1)::uuid"


def _events_and_deliveries(event_id: str, hook_id: str) -> str:
    """The clauses of every terminal statement: each job's event, and a delivery of it for everyone who is told."""
    return f"""
    event AS (
      INSERT INTO job_events (id, job_id, sequence, type, data)
      SELECT {event_id}, job.id, job.sequence, $4, '{{}}' FROM job RETURNING id, job_id, at
    ),
    told AS (
      SELECT {hook_id} AS id, job.id AS job_id, NULL::uuid AS endpoint_id, job.webhook_url AS url
      FROM job WHERE job.webhook_url IS NOT NULL
      UNION ALL
      SELECT {minted("$5")}, job.id, e.id, e.url
      FROM job JOIN endpoints e ON e.project = job.project
      WHERE e.disabled_at IS NULL AND (e.events = '{{}}' OR $4 = ANY(e.events))
    ),
    delivery AS (
      INSERT INTO deliveries (id, project, queue, event_id, event_type, sequence, happened_at, job_id, api_key_id,
                              endpoint_id, url, run_at)
      SELECT told.id, job.project, '{QueueName.NOTIFIER}', event.id, $4, job.sequence, event.at, job.id,
             job.api_key_id, told.endpoint_id, told.url, {left_alone_until("told.url")}
      FROM told JOIN job ON job.id = told.job_id JOIN event ON event.job_id = told.job_id
      RETURNING id
    )"""


def _counted(status: JobStatus, after: str) -> str:
    """Clauses that count the rows of ``job`` in their batch, once the clause ``after`` has its locks. With its last job
    the batch ends; its one event has the batch's own id.
    """
    ended = {each: f"b.{each}" + (" + ended.jobs" if each == status else "") for each in _COUNTED}
    return f"""
    batch AS (
      UPDATE batches b
      SET {status} = {ended[status]},
          finished_at = CASE WHEN {" + ".join(ended.values())} >= b.total THEN clock_timestamp() END,
          status = CASE
            WHEN {" + ".join(ended.values())} < b.total THEN b.status
            WHEN {ended[JobStatus.COMPLETED]} = b.total AND b.rejected = '[]' THEN '{BatchStatus.COMPLETED}'
            WHEN {ended[JobStatus.COMPLETED]} > 0 THEN '{BatchStatus.PARTIALLY_COMPLETED}'
            WHEN {ended[JobStatus.FAILED]} > 0 THEN '{BatchStatus.FAILED}'
            ELSE '{BatchStatus.CANCELED}' END
      FROM (
        SELECT job.batch_id, count(*)::int AS jobs FROM job, (SELECT count(*) FROM {after}) AS first
        WHERE job.batch_id IS NOT NULL GROUP BY job.batch_id
      ) AS ended
      WHERE b.id = ended.batch_id
      RETURNING b.*
    ),
    whole AS (SELECT * FROM batch WHERE finished_at IS NOT NULL),
    whole_told AS (
      SELECT whole.id, NULL::uuid AS endpoint_id, whole.webhook_url AS url
      FROM whole WHERE whole.webhook_url IS NOT NULL
      UNION ALL
      SELECT whole.id, e.id, e.url FROM whole JOIN endpoints e ON e.project = whole.project
      WHERE e.disabled_at IS NULL AND (e.events = '{{}}' OR '{EventType.BATCH_COMPLETED}' = ANY(e.events))
    ),
    whole_delivery AS (
      INSERT INTO deliveries (id, project, queue, event_id, event_type, sequence, happened_at, data, api_key_id,
                              endpoint_id, url, run_at)
      SELECT {minted("$5")}, whole.project, '{QueueName.NOTIFIER}', whole.id, '{EventType.BATCH_COMPLETED}', 1,
             whole.finished_at, {_BATCH_DATA}, whole.api_key_id, t.endpoint_id, t.url, {left_alone_until("t.url")}
      FROM whole_told t JOIN whole ON whole.id = t.id
      RETURNING id
    )"""


_COUNTED: Final = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED)

_BATCH_DATA: Final = """jsonb_build_object(
               'batch_id', whole.id, 'status', whole.status, 'sequence', 1,
               'counts', jsonb_build_object('completed', whole.completed, 'failed', whole.failed,
                 'canceled', whole.canceled, 'rejected', jsonb_array_length(whole.rejected)),
               'metadata', whole.metadata)"""


# What is made again in place of an object that is gone need not be the same file: encoders change with their releases.
_REMADE: Final = ", ".join(
    f"{column} = CASE WHEN renditions.storage_key IN (SELECT replaces FROM made) THEN excluded.{column} "
    f"ELSE renditions.{column} END"
    for column in (
        *("storage_key", "format", "media_type", "width", "height", "bytes", "sha256"),
        *("thumbhash", "dominant_color", "frames"),
    )
)


def made_and_linked(rows: str, *, facts: str, sha256: str, after: str) -> str:
    """Clauses that write the renditions in ``rows`` (jsonb) and link them as outputs of the one ``job``, once the
    clause ``after`` has its locks: ``made``, ``rendition``, ``linked``. All arguments are SQL.
    """
    return f"""
    made AS (
      SELECT m.* FROM job, (SELECT count(*) FROM {after}) AS first, jsonb_to_recordset({rows}) AS m(
        name text, position smallint, cached boolean, id uuid, key text, storage_key text, recipe_hash text,
        engine text, format text, media_type text, width int, height int, bytes bigint, sha256 text, replaces text,
        thumbhash text, dominant_color text, frames int, copied_to text)
    ),
    rendition AS (
      INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type,
                              width, height, bytes, sha256, thumbhash, dominant_color, frames, source_facts)
      SELECT DISTINCT ON (key) id, key, storage_key, {sha256}, recipe_hash, engine, format, media_type,
             width, height, bytes, sha256, thumbhash, dominant_color, frames, {facts}
      FROM made WHERE NOT cached ORDER BY key, position
      ON CONFLICT (key) DO UPDATE SET {_REMADE}
      RETURNING id, key, storage_key
    ),
    linked AS (
      INSERT INTO outputs (job_id, name, position, rendition_id, cached, storage_key)
      SELECT job.id, made.name, made.position, coalesce(rendition.id, made.id), made.cached, made.copied_to
      FROM job, made LEFT JOIN rendition USING (key) RETURNING name
    )"""


# Its outputs are events too, with the numbers just below that of the completion; see the rows of ``outputs``.
COMPLETE: Final = Prepared(
    f"""
    WITH job AS (
      UPDATE jobs
      SET status = 'completed', stage = NULL, progress = 100, finished_at = clock_timestamp(), lease_until = NULL,
          source = source || $6, source_sha256 = $7, sequence = sequence + 1 + jsonb_array_length($8), error = NULL,
          traceback = NULL
      WHERE id = $1 AND fence = $2 AND status = 'processing'
      RETURNING id, project, batch_id, sequence, api_key_id, webhook_url
    ),
    {RELEASED},
    {made_and_linked("$8", facts="$6", sha256="$7", after="released")},
    {_events_and_deliveries("$3", "$5")},
    {_counted(JobStatus.COMPLETED, after="linked")}
    SELECT job.id, (SELECT jsonb_agg(rendition.storage_key) FROM rendition) AS kept,
           (SELECT array_agg(key) FROM released) AS released,
           (SELECT count(*) FROM linked) AS outputs, {_TELL} FROM job
    """,
    *("uuid", "bigint", "uuid", "text", "uuid", "jsonb", "text", "jsonb"),
)


# Its parts were events already, and so were its outputs, as they came. Not before its last chunk has ended: all items
# may be there while somebody is about to end another one.
COMPLETE_GENERATION: Final = Prepared(
    f"""
    WITH job AS (
      UPDATE jobs
      SET status = 'completed', stage = NULL, progress = 100, finished_at = clock_timestamp(), sequence = sequence + 1,
          error = NULL, traceback = NULL
      WHERE id = $1 AND fence = $2 AND status = 'processing'
        AND (SELECT finished_chunks = total_chunks FROM generations WHERE job_id = $1)
      RETURNING id, project, batch_id, sequence, api_key_id, webhook_url
    ),
    {_events_and_deliveries("$3", "$5")},
    {_counted(JobStatus.COMPLETED, after="event")}
    SELECT job.id, {_TELL} FROM job
    """,
    *("uuid", "bigint", "uuid", "text", "uuid"),
)


def _ended(status: JobStatus, guard: str, error: str = "NULL") -> str:
    return f"""
    job AS (
      UPDATE jobs
      SET status = '{status}', stage = NULL, finished_at = clock_timestamp(), lease_until = NULL, run_at = NULL,
          dispatched_at = NULL, waits_for = NULL, error = {error}, traceback = NULL, sequence = sequence + 1
      WHERE {guard}
      RETURNING id, project, batch_id, sequence, api_key_id, webhook_url, attempts
    ),
    {RELEASED},
    {_counted(status, after="released")}
    """


def _ending(status: JobStatus, guard: str, error: str = "NULL") -> str:
    return f"""
    WITH {_ended(status, f"id = $1 AND {guard}", error)},
    {_events_and_deliveries("$3", "$5")}
    SELECT job.id, (SELECT array_agg(key) FROM released) AS released, {_TELL} FROM job
    """


FAIL: Final = Prepared(
    _ending(JobStatus.FAILED, "fence = $2 AND status = 'processing'", error="$6"),
    *("uuid", "bigint", "uuid", "text", "uuid", "jsonb"),
)

_CANCELABLE = ", ".join(f"'{status}'" for status in sources_of(Transition.CANCEL))

# No fence: it is not the worker that ends its claim. What the worker writes afterwards finds no row in processing.
CANCEL: Final = Prepared(
    _ending(JobStatus.CANCELED, f"project = $2 AND status IN ({_CANCELABLE})"),
    *("uuid", "text", "uuid", "text", "uuid"),
)

# In the order of their ids, so that two of these do not wait for each other; a worker waits for one job at a time.
CANCEL_BATCH: Final = Prepared(
    f"""
    WITH living AS MATERIALIZED (
      SELECT id FROM jobs WHERE batch_id = $1 AND project = $2 AND status IN ({_CANCELABLE})
      ORDER BY id FOR NO KEY UPDATE
    ),
    {_ended(JobStatus.CANCELED, f"id = ANY(ARRAY(SELECT id FROM living)) AND status IN ({_CANCELABLE})")},
    {_events_and_deliveries(minted("$3"), minted("$5"))}
    SELECT count(({_TELL})::text) AS jobs, (SELECT array_agg(key) FROM released) AS released FROM job
    """,
    *("uuid", "text", "uuid", "text", "uuid"),
)
