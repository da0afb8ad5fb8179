"""Rows and objects compared, on a real Postgres and a directory: what differs is told, and nothing is changed."""

import itertools
import os
import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.integration.shared.processes import environment_of
from tests.servers import Servers

from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.objects import archive_name, rendition_name, source_name, upload_name
from pixmill_shared.repositories import stored
from pixmill_shared.runtime import Runtime
from pixmill_shared.service import verifying
from pixmill_shared.service.verifying import verify
from pixmill_shared.storage import ObjectStore, StorageUnavailable

ALERTS = "SELECT rule, subject, detail FROM alerts WHERE state = 'firing' AND clear_since IS NULL"


@pytest.fixture
def clients(postgres_url: str, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    for name, value in environment_of(servers.stack.environment, postgres_url, tmp_path).items():
        monkeypatch.setenv(name, value)
    clients = Runtime()
    run(clients, "TRUNCATE jobs, renditions, uploads, task_requests, backups, alerts CASCADE")
    yield clients
    clients.database.dispose()


def run(clients: Runtime, sql: str, **values: object) -> list[Any]:
    with clients.database.session_scope() as session:
        result = session.execute(text(sql), values)
        return [tuple(row) for row in result] if result.returns_rows else []


UPLOAD = "uploads (id, key, project, sha256, bytes, media_type) VALUES (:id, :key, 'p', 's', 5, 'image/png')"
RENDITION = """renditions (id, storage_key, key, source_sha256, recipe_hash, engine, format, media_type, width, height,
    bytes, sha256) VALUES (:id, :key, CAST(:id AS text), 's', 'r', '1', 'webp', 'image/webp', 1, 1, 5, 's')"""
JOB = "jobs (id, source_key, project, queue, source, recipe) VALUES (:id, :key, 'p', 'imaging', '{}', '{}')"
ARCHIVE = """task_requests (id, result, project, queue, task, requested_by)
    VALUES (:id, jsonb_build_object('key', CAST(:key AS text)), 'p', 'api', 't', 'me')"""
BACKUP = "backups (id, key, status) VALUES (:id, :key, 'completed')"


def rows_of_each_kind(clients: Runtime) -> dict[str, str]:
    """The name of an object by the kind of row that names it. None is written."""
    ids = {kind: new_id() for kind in stored.KINDS}
    key = new_id().hex * 2
    names = {
        "uploads": upload_name(ids["uploads"]),
        "renditions": rendition_name(key, ids["renditions"], "webp"),
        "sources": source_name(ids["sources"], 1),
        "archives": archive_name(ids["archives"], new_id()),
        "backups": f"backups/{ids['backups']}.dump",
    }
    tables = {"uploads": UPLOAD, "renditions": RENDITION, "sources": JOB, "archives": ARCHIVE, "backups": BACKUP}
    for kind, statement in tables.items():
        run(clients, f"INSERT INTO {statement}", id=ids[kind], key=names[kind])
    return names


def put(clients: Runtime, *names: str) -> None:
    for name in names:
        clients.store.put(name, b"12345", "image/webp")


def test_rows_and_objects_that_agree_are_well(clients: Runtime) -> None:
    put(clients, *rows_of_each_kind(clients).values())
    # Of jobs without a source of their own, and of backups that failed, nothing has to be there.
    run(clients, f"INSERT INTO {JOB}", id=new_id(), key="uploads/x")
    run(clients, "INSERT INTO backups (id, status, key) VALUES (:id, 'failed', 'backups/none.dump')", id=new_id())
    result = verify(clients)
    assert (result["missing"], result["objects"]["without_row"], result["unfinished"]) == (0, 0, [])
    assert {kind: found["looked_at"] for kind, found in result["rows"].items()} == {
        **dict.fromkeys(stored.KINDS, 1),
        "sources": 2,
        "backups": 2,
    }
    assert run(clients, ALERTS) == []


def test_missing_objects_are_told_with_examples_and_alerted_until_they_are_back(clients: Runtime) -> None:
    names = rows_of_each_kind(clients)
    result = verify(clients)
    assert result["missing"] == 5
    assert {kind: found["examples"] for kind, found in result["rows"].items()} == {
        kind: [name] for kind, name in names.items()
    }
    ((rule, subject, detail),) = run(clients, ALERTS)
    assert (rule, subject) == ("objects_missing", "storage")
    assert "1 of renditions" in detail
    put(clients, *names.values())
    assert verify(clients)["missing"] == 0
    assert run(clients, ALERTS) == []


def test_objects_without_rows_are_told_and_stay(clients: Runtime, tmp_path: Path) -> None:
    old, young = source_name(new_id(), 1), source_name(new_id(), 1)
    put(clients, old, young)
    then = time.time() - 2 * 86_400
    os.utime(tmp_path / "objects" / old, (then, then))
    found = verify(clients)["objects"]
    assert (found["without_row"], found["examples"]) == (1, [old])
    assert {info.key for info in clients.store.list("sources")} == {old, young}
    assert run(clients, ALERTS) == []


def test_many_pages_are_looked_at_and_few_examples_told(clients: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "PAGE", 3)
    for _ in range(8):
        made = new_id()
        run(clients, f"INSERT INTO {UPLOAD}", id=made, key=upload_name(made))
    found = verify(clients)["rows"]["uploads"]
    assert (found["looked_at"], found["missing"], len(found["examples"])) == (8, 8, 5)


class Unlisted:
    """A store that lists nothing."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, *_: object) -> Any:
        raise StorageUnavailable


def test_missing_objects_are_alerted_though_the_storage_cannot_be_listed(clients: Runtime) -> None:
    rows_of_each_kind(clients)
    clients.__dict__["store"] = Unlisted(clients.store)
    with pytest.raises(StorageUnavailable):
        verify(clients)
    assert len(run(clients, ALERTS)) == 1


def test_look_that_ended_early_ends_no_alert(clients: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    names = rows_of_each_kind(clients)
    verify(clients)
    put(clients, *names.values())
    monkeypatch.setattr(verifying, "PATIENCE", 0.0)
    result = verify(clients)
    assert (result["missing"], result["unfinished"]) == (0, sorted(stored.KINDS))
    assert len(run(clients, ALERTS)) == 1


def test_looks_that_end_early_come_to_each_row_in_time(clients: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [uuid.UUID(int=number << 80) for number in range(1, 21)]
    for each in made:
        run(clients, f"INSERT INTO {UPLOAD}", id=each, key=upload_name(each))
    monkeypatch.setattr(verifying, "PAGE", 2)
    clients.__dict__["rng"] = random.Random(7)
    examples: set[str] = set()
    for _ in range(60):
        # Eight pages of all kinds, until the patience is over.
        ticks = itertools.count(0, verifying.PATIENCE / 9)
        result = verify(clients, clock=lambda ticks=ticks: next(ticks))
        assert result["rows"]["uploads"]["looked_at"] < len(made)
        assert "uploads" in result["unfinished"]
        examples.update(result["rows"]["uploads"]["examples"])
    assert examples == {upload_name(each) for each in made}


class Vanishing:
    """A store in which the objects of a row that is deleted while it is looked at are gone."""

    def __init__(self, clients: Runtime, upload_id: uuid.UUID) -> None:
        self._clients = clients
        self._upload_id = upload_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clients.__dict__["store_of_before"], name)

    def exists(self, key: str) -> bool:
        run(self._clients, "DELETE FROM uploads WHERE id = :id", id=self._upload_id)
        return False


def test_row_that_is_deleted_meanwhile_misses_nothing(clients: Runtime) -> None:
    made = new_id()
    run(clients, f"INSERT INTO {UPLOAD}", id=made, key=upload_name(made))
    clients.__dict__["store_of_before"] = clients.store
    clients.__dict__["store"] = Vanishing(clients, made)
    assert verify(clients)["missing"] == 0
