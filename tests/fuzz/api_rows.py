"""What a fuzzed API has in its database, so that requests meet things in all states: made over HTTP, then moved on by
hand, as workers would."""

import hashlib
import json
import uuid

from tests.integration.api.running import Api

PIXELS = bytes(range(256)) * 40
PRESET = "zz-fuzz"
"""The last one of a list, and not of the examples: so it is not deleted while requests name it."""
ERROR = {"code": "source_timeout", "title": "The source took too long", "detail": "No bytes.", "retryable": True}
FETCH = "pixmill_imaging.tasks.fetch.fetch_source"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a494441"
    "54789c636000000002000148afa4710000000049454e44ae426082"
)


def seed(api: Api, each: int) -> dict[str, str]:
    """``each`` of everything; what requests may refer to, by the name of the key that refers to it."""
    upload = api.client.post("/api/v1/uploads", content=PNG, headers={"Content-Type": "image/png"}).json()
    for _ in range(each):
        job = _job(api)
        _complete(api, job)
        _fail(api, _job(api))
    api.client.put(f"/api/v1/presets/{PRESET}", json={"recipe": {"outputs": [{"name": "web"}]}}).raise_for_status()
    return {"upload_id": upload["upload_id"], "upload": upload["upload_id"], "preset": PRESET, "completed_job": job}


def _job(api: Api) -> str:
    body = {"image_url": "https://example.com/a.jpg", "webhook_url": "https://example.com/hook"}
    answer = api.client.post("/api/v1/process", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def _complete(api: Api, job: str) -> None:
    rendition = str(uuid.uuid4())
    key = f"renditions/ab/{rendition}.webp"
    api.query(
        "INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, width,"
        " height, bytes, sha256) VALUES (%s, %s, %s, 's', 'r', 'e', 'webp', 'image/webp', 8, 6, %s, %s)",
        *(rendition, rendition, key, len(PIXELS), hashlib.sha256(PIXELS).hexdigest()),
    )
    api.query("INSERT INTO outputs (job_id, name, position, rendition_id) VALUES (%s, 'web', 0, %s)", job, rendition)
    api.query(
        "UPDATE jobs SET status = 'completed', stage = NULL, progress = 100, attempts = 1, started_at = now(),"
        " finished_at = now(), sequence = sequence + 2 WHERE id = %s",
        job,
    )
    api.query(
        "INSERT INTO job_events (id, job_id, sequence, type) SELECT %s, id, sequence, 'job.completed' FROM jobs"
        " WHERE id = %s",
        *(str(uuid.uuid4()), job),
    )
    (api.storage / key).parent.mkdir(parents=True, exist_ok=True)
    (api.storage / key).write_bytes(PIXELS)


def _fail(api: Api, job: str) -> None:
    event, delivery = str(uuid.uuid4()), str(uuid.uuid4())
    api.query("UPDATE jobs SET status = 'failed', stage = NULL, error = %s WHERE id = %s", json.dumps(ERROR), job)
    api.query("INSERT INTO job_events (id, job_id, sequence, type) VALUES (%s, %s, 1, 'job.failed')", event, job)
    api.query(
        "INSERT INTO deliveries (id, project, status, queue, event_id, event_type, job_id, url) "
        "VALUES (%s, 'default', 'failed', 'notifier.retry', %s, 'job.failed', %s, 'https://example.com/hook')",
        *(delivery, event, job),
    )
    api.query(
        "INSERT INTO dead_letters (id, project, task, payload, error, attempts) VALUES (%s, 'default', %s, %s, %s, 3)",
        *(str(uuid.uuid4()), FETCH, json.dumps({"job_id": job}), json.dumps(ERROR)),
    )
