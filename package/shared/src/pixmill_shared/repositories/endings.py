"""The statements that end a job for good: with its event, its deliveries, and what it made, all at once."""

from typing import Final

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.jobs import JobStatus, Transition, sources_of
from pixmill_shared.repositories.receivers import left_alone_until
from pixmill_shared.repositories.reservations import RELEASED
from pixmill_shared.repositories.work import WAKE_CHANNEL

# Which job ended, for those who watch it; the dispatcher wakes up whatever it says.
_TELL: Final = f"""pg_notify('{WAKE_CHANNEL}', jsonb_build_object(
      'job', job.id, 'batch', job.batch_id, 'project', job.project)::text)"""

# The clauses of every terminal statement: the job's event, and a delivery of it for everyone who is told, in one
# transaction. Ids sort by time: of those that are made here the first half is that of the one that came with the call.
_EVENT_AND_DELIVERIES = f"""
    event AS (
      INSERT INTO job_events (id, job_id, sequence, type, data)
      SELECT $3, job.id, job.sequence, $4, '{{}}' FROM job RETURNING id, job_id, at
    ),
    told AS (
      SELECT $5 AS id, NULL::uuid AS endpoint_id, job.webhook_url AS url FROM job WHERE job.webhook_url IS NOT NULL
      UNION ALL
      SELECT overlay(gen_random_uuid()::text PLACING left($5::text, 15) FROM 1)::uuid, e.id, e.url
      FROM job JOIN endpoints e ON e.project = job.project
      WHERE e.disabled_at IS NULL AND (e.events = '{{}}' OR $4 = ANY(e.events))
    ),
    delivery AS (
      INSERT INTO deliveries (id, project, queue, event_id, event_type, sequence, happened_at, job_id, api_key_id,
                              endpoint_id, url, run_at)
      SELECT told.id, job.project, '{QueueName.NOTIFIER}', event.id, $4, job.sequence, event.at, job.id,
             job.api_key_id, told.endpoint_id, told.url, {left_alone_until("told.url")}
      FROM told, job, event
      RETURNING id
    )
"""

COMPLETE: Final = Prepared(
    f"""
    WITH job AS (
      UPDATE jobs
      SET status = 'completed', stage = NULL, progress = 100, finished_at = clock_timestamp(), lease_until = NULL,
          source = source || $6, source_sha256 = $7, sequence = sequence + 1, error = NULL
      WHERE id = $1 AND fence = $2 AND status = 'processing'
      RETURNING id, project, batch_id, sequence, api_key_id, webhook_url
    ),
    {RELEASED},
    made AS (
      SELECT m.* FROM job, (SELECT count(*) FROM released) AS first, jsonb_to_recordset($8) AS m(
        name text, position smallint, cached boolean, id uuid, key text, storage_key text, recipe_hash text,
        engine text, format text, media_type text, width int, height int, bytes bigint, sha256 text, replaces text,
        thumbhash text, dominant_color text, frames int, copied_to text)
    ),
    rendition AS (
      INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type,
                              width, height, bytes, sha256, thumbhash, dominant_color, frames, source_facts)
      SELECT DISTINCT ON (key) id, key, storage_key, $7, recipe_hash, engine, format, media_type,
             width, height, bytes, sha256, thumbhash, dominant_color, frames, $6
      FROM made WHERE NOT cached ORDER BY key, position
      ON CONFLICT (key) DO UPDATE SET storage_key =
        CASE WHEN renditions.storage_key IN (SELECT replaces FROM made) THEN excluded.storage_key
             ELSE renditions.storage_key END
      RETURNING id, key, storage_key
    ),
    linked AS (
      INSERT INTO outputs (job_id, name, position, rendition_id, cached, storage_key)
      SELECT job.id, made.name, made.position, coalesce(rendition.id, made.id), made.cached, made.copied_to
      FROM job, made LEFT JOIN rendition USING (key) RETURNING name
    ),
    {_EVENT_AND_DELIVERIES}
    SELECT job.id, (SELECT jsonb_agg(rendition.storage_key) FROM rendition) AS kept,
           (SELECT array_agg(key) FROM released) AS released,
           (SELECT count(*) FROM linked) AS outputs, {_TELL} FROM job
    """,
    *("uuid", "bigint", "uuid", "text", "uuid", "jsonb", "text", "jsonb"),
)


def _ending(status: JobStatus, guard: str, error: str = "NULL") -> str:
    return f"""
    WITH job AS (
      UPDATE jobs
      SET status = '{status}', stage = NULL, finished_at = clock_timestamp(), lease_until = NULL, run_at = NULL,
          dispatched_at = NULL, waits_for = NULL, error = {error}, sequence = sequence + 1
      WHERE id = $1 AND {guard}
      RETURNING id, project, batch_id, sequence, api_key_id, webhook_url, attempts
    ),
    {RELEASED},
    {_EVENT_AND_DELIVERIES}
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
