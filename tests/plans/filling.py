"""A database of many rows in every table that GET endpoints read, made by the database itself."""

import uuid
from typing import Final

import psycopg2

KINDS: Final = (
    *(
        "job",
        "batch",
        "rendition",
        "event",
        "delivery",
        "endpoint",
        "letter",
        "request",
        "alert",
        "audit",
        "key",
        "pipeline",
    ),
    *("item", "run", "record", "generating", "chunk"),
)
BATCH: Final = 1_000
"""Rows that have an id of the same batch, half of which are in it."""
STORAGE_KEY: Final = "renditions/of-plans.webp"
"""Of all renditions."""

# Ids as they are minted: the time first, over the last thirty days, then what tells tables apart.
_ID: Final = """
    CREATE FUNCTION id_of(kind int, n bigint, total bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
      SELECT (lpad(to_hex((extract(epoch FROM date_trunc('hour', now())) * 1000
                           - 2592000000 + n * 2592000000 / total)::bigint), 12, '0')
              || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid
    $$
"""
_AT: Final = "now() - interval '30 days' + n * interval '30 days' / {rows}"
PROJECTS: Final = ("default", "rare")
"""Who has most, and who has few and old rows only: those who ask."""
#: As many are worked on at once as by a thousand processes.
_STATUS: Final = """
    CASE WHEN n % 100 < 3 THEN 'queued' WHEN n % 1000 = 3 THEN 'processing' WHEN n % 100 BETWEEN 4 AND 8 THEN 'failed'
         WHEN n % 100 = 9 THEN 'canceled' ELSE 'completed' END
"""
#: One that has nearly all, one that has a tenth, and one whose rows are few and old: for it nearly all are wrong ones.
_PROJECT: Final = """
    CASE WHEN n % 10 = 7 THEN 'other' WHEN n % 1000 IN (505, 512) AND n < {rows} / 2 THEN 'rare' ELSE 'default' END
"""


def _id(kind: str, n: str = "n") -> str:
    return f"id_of({KINDS.index(kind)}, ({n})::bigint, {{rows}})"


# Table, rows for each job, columns and what is in them.
_TABLES: Final = (
    (
        "api_keys",
        20,
        {
            "id": _id("key"),
            "project": "'default'",
            "name": "'key'",
            "prefix": "'p' || n",
            "token_sha256": "sha256(n::text::bytea)",
            "webhook_secret": "'x'::bytea",
            "created_at": _AT,
        },
    ),
    (
        "endpoints",
        5,
        {"id": _id("endpoint"), "project": "'default'", "url": "'https://example.com/' || n", "created_at": _AT},
    ),
    (
        "batches",
        "{rows} / 1000 + 1",
        {
            "id": _id("batch"),
            "project": "CASE WHEN n % 10 = 7 THEN 'other' ELSE 'default' END",
            "status": "'processing'",
            "total": "500",
            "completed": "455",
            "failed": "25",
            "created_at": _AT,
        },
    ),
    (
        "pipelines",
        200,
        {
            "id": _id("pipeline"),
            "project": "'default'",
            "name": "'pipeline ' || n",
            "source": """'{"type": "rss", "url": "https://example.com/feed.xml"}'""",
            "preset": "'web'",
            "recipe": """'{"outputs": [{"name": "a"}]}'""",
            "cron": "'*/30 * * * *'",
            "timezone": "'UTC'",
            "run_at": "now() + interval '1 hour'",
            "created_at": _AT,
        },
    ),
    (
        "jobs",
        "{rows}",
        {
            "id": _id("job"),
            "project": _PROJECT,
            "status": _STATUS,
            "stage": "'render'",
            "queue": "(ARRAY['imaging', 'imaging', 'imaging', 'imaging.high', 'fetch'])[n / 100 % 5 + 1]",
            "turn": "n",
            "source": """'{"bytes": 1000, "url": "https://example.com/a.jpg"}'""",
            "recipe": """'{"outputs": [{"name": "a"}]}'""",
            "metadata": """CASE WHEN n % 4 = 0 THEN jsonb_build_object('order', n::text, 'shop', 'x') ELSE '{}' END""",
            "batch_id": f"CASE WHEN n % 2 = 0 THEN {_id('batch', 'n / 1000')} END",
            "batch_index": "CASE WHEN n % 2 = 0 THEN n % 1000 / 2 END",
            "pipeline_id": f"CASE WHEN n % 2 = 1 THEN {_id('pipeline', 'n / 2 % 20')} END",
            "api_key_id": f"CASE WHEN n % 3 = 0 THEN {_id('key', 'n % 20')} END",
            "sequence": "2",
            "dispatched_at": "CASE WHEN n % 100 = 1 THEN now() END",
            "dispatch_number": "CASE WHEN n % 100 = 1 THEN n END",
            "run_at": "CASE WHEN n % 100 = 2 THEN now() + interval '1 day' END",
            "lease_until": "CASE WHEN n % 1000 = 3 THEN now() + interval '1 hour' END",
            "claimed_by": "CASE WHEN n % 1000 = 3 THEN 'worker' END",
            "error": """CASE WHEN n % 100 BETWEEN 4 AND 8
                        THEN '{"code": "undecodable", "title": "t", "detail": "d", "retryable": false}'::jsonb END""",
            "created_at": _AT,
            "started_at": f"CASE WHEN n % 100 >= 3 THEN {_AT} END",
            "finished_at": f"CASE WHEN n % 100 >= 3 AND n % 1000 <> 3 THEN {_AT} + n % 1000 * interval '1 ms' END",
        },
    ),
    (
        "jobs",
        "{rows} / 20 + 1",
        {
            "id": _id("generating"),
            "project": _PROJECT,
            "status": "CASE WHEN n % 50 = 3 THEN 'processing' WHEN n % 50 = 4 THEN 'queued' ELSE 'completed' END",
            "kind": "'generate'",
            "stage": "'generate'",
            "queue": "'generate'",
            "turn": "n",
            "source": "'{}'",
            "recipe": """'{"outputs": [{"name": "image", "format": "png"}]}'""",
            "sequence": "15",
            "created_at": _AT,
            "started_at": f"CASE WHEN n % 50 <> 4 THEN {_AT} END",
            "finished_at": f"CASE WHEN n % 50 NOT IN (3, 4) THEN {_AT} END",
        },
    ),
    (
        "generations",
        "{rows} / 20 + 1",
        {
            "job_id": _id("generating"),
            "fallback": "'placeholder'",
            "cache": "true",
            "form": "'menu'",
            "categories": """'["a"]'""",
            "total_items": "10",
            "total_chunks": "4",
        },
    ),
    (
        "generation_chunks",
        "{rows} / 5",
        {
            "id": _id("chunk"),
            "project": "'default'",
            "status": "'completed'",
            "queue": "'generate'",
            "job_id": _id("generating", "n / 4"),
            "position": "n % 4",
        },
    ),
    (
        "generation_items",
        "{rows} / 2",
        {
            "job_id": _id("generating", "n / 10"),
            "position": "n % 10",
            "chunk_id": _id("chunk", "n / 10 * 4 + n % 10 / 3"),
            "category": "'a'",
            "name": "'x'",
            "prompt": "'x'",
            "details": """'{"english_name": "x"}'""",
            "file_name": "'menu_image_' || n % 10",
            "finished_at": _AT,
            "provider": "'gemini'",
            "success": "true",
            "outputs": "ARRAY['menu_image_' || n % 10 || '.png']",
            "duration_ms": "5000",
        },
    ),
    (
        "pipeline_items",
        "{rows}",
        {
            "pipeline_id": _id("pipeline", "n % 20"),
            "key": "'https://example.com/' || n",
            "id": _id("item"),
            "location": "'https://example.com/' || n",
            "job_id": _id("job"),
            "created_at": _AT,
        },
    ),
    (
        "pipeline_runs",
        "{rows} / 10",
        {
            "id": _id("run"),
            "pipeline_id": _id("pipeline", "n % 20"),
            "trigger": "'schedule'",
            "status": "'completed'",
            "created_at": _AT,
            "started_at": _AT,
            "finished_at": _AT,
        },
    ),
    (
        "task_records",
        2_000,
        {
            "id": _id("record"),
            "task_id": _id("record"),
            "task": "'pixmill_shared.tasks.monitoring.record_heartbeat'",
            "worker": "'w'",
            "state": "CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'succeeded' END",
            "attempts": "1",
            "started_at": _AT,
            "finished_at": _AT,
        },
    ),
    (
        "renditions",
        "{rows} / 10 + 1",
        {
            "id": _id("rendition"),
            "key": "'key' || n",
            "storage_key": f"'{STORAGE_KEY}'",
            "source_sha256": "'x'",
            "recipe_hash": "'x'",
            "engine": "'x'",
            "format": "'webp'",
            "media_type": "'image/webp'",
            "width": "10",
            "height": "10",
            "bytes": "5",
            "sha256": "'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'",
        },
    ),
    (
        "outputs",
        "{rows}",
        {
            "job_id": _id("job"),
            "name": "'a'",
            "position": "0",
            "rendition_id": _id("rendition", "n / 10"),
            "cached": "n % 3 = 0",
        },
    ),
    (
        "outputs",
        "{rows} / 2",
        {
            "job_id": _id("generating", "n / 10"),
            "name": "'menu_image_' || n % 10 || '.png'",
            "position": "n % 10",
            "rendition_id": _id("rendition", "n / 10"),
            "cached": "false",
        },
    ),
    (
        "job_events",
        "{rows}",
        {
            "id": _id("event"),
            "job_id": _id("job"),
            "sequence": "2",
            "type": "'job.' || CASE WHEN n % 100 < 9 THEN 'failed' ELSE 'completed' END",
            "at": _AT,
        },
    ),
    (
        "deliveries",
        "{rows}",
        {
            "id": _id("delivery"),
            "project": _PROJECT,
            "status": _STATUS,
            "queue": "'notifier'",
            "turn": "n",
            "event_id": _id("event"),
            "event_type": "'job.completed'",
            "sequence": "2",
            "job_id": _id("job"),
            "endpoint_id": _id("endpoint", "n % 5"),
            "url": "'https://example.com/' || n % 5",
            "dispatched_at": "CASE WHEN n % 100 = 1 THEN now() END",
            "run_at": "CASE WHEN n % 100 = 2 THEN now() + interval '1 day' END",
            "lease_until": "CASE WHEN n % 1000 = 3 THEN now() + interval '1 hour' END",
            "created_at": _AT,
        },
    ),
    (
        "delivery_attempts",
        "{rows}",
        {"delivery_id": _id("delivery"), "fence": "1", "status_code": "200", "duration_ms": "10", "at": _AT},
    ),
    (
        "dead_letters",
        "{rows} / 20",
        {
            "id": _id("letter"),
            "project": _PROJECT,
            "task": "'pixmill_imaging.tasks.render.render_job'",
            "payload": f"jsonb_build_object('job_id', {_id('job')})",
            "error": """'{"code": "x", "detail": "d"}'""",
            "attempts": "3",
            "created_at": _AT,
        },
    ),
    (
        "task_requests",
        "{rows} / 50",
        {
            "id": _id("request"),
            "project": _PROJECT,
            "status": f"replace({_STATUS}, 'canceled', 'failed')",
            "queue": "'default'",
            "task": "'pixmill_shared.tasks.maintenance.cleanup'",
            "requested_by": "'anyone'",
            "created_at": _AT,
        },
    ),
    (
        "alerts",
        1_000,
        {
            "id": _id("alert"),
            "rule": "'queue_stalled'",
            "subject": "'queue' || n",
            "state": "CASE WHEN n % 100 = 0 THEN 'firing' ELSE 'resolved' END",
            "detail": "'d'",
        },
    ),
    (
        "audit",
        "{rows} / 20",
        {"id": _id("audit"), "project": _PROJECT, "actor": "'a'", "action": "'key.created'", "target": "'t'"},
    ),
    (
        "presets",
        2_000,
        {
            "project": _PROJECT,
            "name": "'p' || n / 10",
            "version": "n % 10 + 1",
            "recipe": """'{"outputs": [{"name": "a", "format": "webp"}]}'""",
        },
    ),
)
BIG: Final = frozenset(
    {"jobs", "deliveries", "delivery_attempts", "job_events", "outputs", "renditions", "batches", "dead_letters"}
    | {"task_requests", "audit", "pipeline_items", "pipeline_runs", "generations", "generation_items"}
)
"""Tables that grow with what is done."""


def fill(url: str, rows: int) -> None:
    """Of an empty database, as the role that owns it: that many jobs, and what comes with them."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET work_mem = '64MB'")
            cursor.execute(_ID)
            for table, count, columns in _TABLES:
                made = ", ".join(columns.values()).replace("{rows}", str(rows))
                last = str(count).replace("{rows}", str(rows))
                cursor.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {made} FROM generate_series(0, {last} - 1) n"
                )
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE")
    finally:
        connection.close()


def ids(url: str, rows: int) -> dict[str, uuid.UUID]:
    """Of a row in the middle of each table: of the project, completed, in a batch."""
    middle = rows // 2 // BATCH * BATCH + 12
    of_row = dict.fromkeys(("job", "event", "delivery"), middle)
    of_row |= {"batch": middle // BATCH, "rendition": middle // 10, "letter": rows // 40 // 10 * 10}
    of_row |= {"request": rows // 100 // 100 * 100 + 12, "audit": rows // 40, "alert": 500, "endpoint": 2, "key": 2}
    of_row |= {"generating": rows // 40 // 50 * 50 + 22, "pipeline": 2, "run": 2, "item": 2, "record": 1_000}
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            found = {}
            for kind, n in of_row.items():
                cursor.execute("SELECT " + _id(kind, str(n)).replace("{rows}", str(rows)))
                found[kind] = uuid.UUID(str(cursor.fetchone()[0]))
            return found
    finally:
        connection.close()
