"""Jobs that generate pictures, and what a worker would do of them, step by step."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

from tests.integration.api.running import Api
from tests.integration.api.streaming import made, session_of

from pixmill_shared.repositories import chunks
from pixmill_shared.repositories.chunks import Result

REFUSED: dict[str, Any] = {
    "code": "provider_refused",
    "title": "The image provider refused the request",
    "detail": "SAFETY",
    "retryable": False,
}
PICTURE = b"\x89PNG\r\n\x1a\n not really a picture, which nobody judges here"


def generate(api: Api, items: list[dict[str, Any]] | int = 3, **changes: Any) -> dict[str, Any]:
    """The new job; ``items`` may be how many."""
    things = [{"name": f"Dish {n}"} for n in range(items)] if isinstance(items, int) else items
    answer = api.client.post("/api/v1/jobs", json={"kind": "generate", "items": things, **changes})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def job(api: Api, job_id: str) -> dict[str, Any]:
    answer = api.client.get(f"/api/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def items_of(api: Api, job_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = api.client.get(f"/api/v1/jobs/{job_id}/items", params={"limit": 200, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def drawn(api: Api, item: chunks.Item, data: bytes = PICTURE) -> Result:
    """Of a model, with its object in the storage."""
    name = f"{item.file_name}.png"
    address = hashlib.sha256(os.urandom(16)).hexdigest()
    key = f"renditions/{address[:2]}/{address}/{uuid.uuid4()}.png"
    path = api.storage / key
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    row = {**made(name, item.position), "key": address, "storage_key": key, "format": "png", "media_type": "image/png"}
    row |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return Result(True, "gemini", None, [row], {"width": 8}, "1" * 64, False, 2_000)


def carded(api: Api, item: chunks.Item) -> Result:
    """A placeholder."""
    card = drawn(api, item)
    return Result(False, "placeholder", REFUSED, card.rows, card.facts, card.sha256)


def skipped(api: Api, item: chunks.Item) -> Result:
    return Result(False, None, REFUSED)


def work(api: Api, job_id: str, *, most: int = 1_000, results: Any = drawn) -> int:
    """Finish up to ``most`` items, each by ``results(api, item)``, and the chunks of which all are; the items done."""
    done = 0
    for chunk_id in _queued(api, job_id):
        with session_of(api) as session:
            chunk = chunks.claim(session, chunk_id, "test", 60)
            assert chunk is not None
            items = chunks.unfinished(session, chunk)
        for item in items[: most - done]:
            with session_of(api) as session:
                assert chunks.hold(session, chunk)
                chunks.finish_item(session, chunk, item, results(api, item))
            done += 1
        with session_of(api) as session:
            assert chunks.hold(session, chunk)
            if chunks.unfinished(session, chunk):
                assert chunks.retry(session, chunk, 0, None, counted=False)
            else:
                chunks.finish(session, chunk)
        if done == most:
            break
    return done


def _queued(api: Api, job_id: str) -> Iterator[uuid.UUID]:
    """Chunks that may be claimed, one after the other: with each that ends another one may be."""
    while True:
        published = "SET run_at = NULL, dispatched_at = clock_timestamp()"
        api.query(f"UPDATE generation_chunks {published} WHERE job_id = %s AND status = 'queued'", job_id)
        rows = api.query(
            "SELECT id FROM generation_chunks WHERE job_id = %s AND status = 'queued' ORDER BY position LIMIT 1", job_id
        )
        if not rows:
            return
        yield uuid.UUID(rows[0][0])
