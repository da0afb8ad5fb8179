"""Jobs and batches that are done, as rows and objects, without a worker."""

import contextlib
import hashlib
import os
import uuid
from typing import Any

import psycopg2
from tests.integration.api.running import Api

from pixmill_shared.domain.ids import new_id

DONE = "completed"


def job(api: Api, outputs: dict[str, bytes], *, batch_id: str | None = None, status: str = DONE, **more: Any) -> str:
    """``outputs`` by name. ``more``: ``project``."""
    return jobs(api, 1, outputs, batch_id=batch_id, status=status, **more)[0]


def jobs(api: Api, count: int, outputs: dict[str, bytes], **more: Any) -> list[str]:
    """So many that are alike, in one transaction."""
    made = [str(new_id()) for _ in range(count)]
    connection = psycopg2.connect(api.database_url.replace("+psycopg2", ""))
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        for job_id in made:
            cursor.execute(
                "INSERT INTO jobs (id, project, queue, kind, status, source, recipe, batch_id, finished_at)"
                " VALUES (%s, %s, 'imaging', 'process', %s, '{}', '{}', %s, now())",
                (job_id, more.get("project", "default"), more.get("status", DONE), more.get("batch_id")),
            )
            for position, (name, data) in enumerate(outputs.items()):
                cursor.execute(
                    "INSERT INTO outputs (job_id, name, position, rendition_id, cached) VALUES (%s, %s, %s, %s, false)",
                    (job_id, name, position, _rendition(api, cursor, data)),
                )
    return made


def _rendition(api: Api, cursor: Any, data: bytes) -> str:
    """The row's id."""
    made, address = str(new_id()), hashlib.sha256(os.urandom(16)).hexdigest()
    key = f"renditions/{address[:2]}/{address}/{made}.png"
    path = api.storage / key
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    cursor.execute(
        "INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, width,"
        " height, bytes, sha256) VALUES (%s, %s, %s, '', '', '', 'png', 'image/png', 1, 1, %s, %s)",
        (made, address, key, len(data), hashlib.sha256(data).hexdigest()),
    )
    return made


def batch(api: Api, total: int, *, finished: bool = True, project: str = "default") -> str:
    batch_id = str(new_id())
    api.query(
        "INSERT INTO batches (id, project, status, total, completed, finished_at) VALUES (%s, %s, %s, %s, %s, %s)",
        *(batch_id, project, DONE if finished else "processing", total, total, "now" if finished else None),
    )
    return batch_id


def drop_object(api: Api, job_id: str, name: str) -> None:
    """The object of an output, whose row stays."""
    sql = "SELECT r.storage_key FROM renditions r JOIN outputs o ON o.rendition_id = r.id"
    ((key,),) = api.query(f"{sql} WHERE o.job_id = %s AND o.name = %s", job_id, name)
    (api.storage / key).unlink()


def noise(size: int) -> bytes:
    return os.urandom(size)


def any_id() -> str:
    return str(uuid.uuid4())
