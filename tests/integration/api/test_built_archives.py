"""Archives that a worker builds once into the storage: asked for, reused, kept for a while, deleted."""

import io
import json
import os
import signal
import uuid
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.filled import any_id, batch, drop_object, job, jobs, noise
from tests.integration.api.running import Api, patiently, running_api, wait_until
from tests.integration.shared.processes import Fleet, Running, environment_of
from tests.servers import Servers

from pixmill_shared.database.engine import Database
from pixmill_shared.service.archives import expire_archives
from pixmill_shared.service.sweeping import sweep_objects
from pixmill_shared.storage.directory import DirectoryStore
from pixmill_shared.storage.signing import FileUrlSigner

APP = "pixmill_api.celery_app"
KEY = "a key for tests only, 0123456789"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def storage(directory: Path) -> Path:
    return directory / "objects"


@pytest.fixture(scope="module")
def api(servers: Servers, postgres_url: str, storage: Path) -> Iterator[Api]:
    with running_api(postgres_url, storage, REDIS_URL=servers.redis_url, PIXMILL_ARCHIVE_TTL="600") as running:
        yield running


@pytest.fixture(scope="module")
def fleet(servers: Servers, postgres_url: str, directory: Path, api: Api) -> Iterator[Fleet]:
    """A dispatcher and no worker."""
    (directory / "failpoints").mkdir()
    environment = environment_of(servers.stack.environment, postgres_url, directory) | {
        "PIXMILL_ENV": "test",
        "PIXMILL_SECRET_KEY": KEY,
        "PIXMILL_FAILPOINTS": str(directory / "failpoints"),
        "PIXMILL_DISPATCH_POLL": "0.2",
        "PIXMILL_LEASE": "300",
        "PIXMILL_LOG_FORMAT": "json",
    }
    fleet = Fleet(directory, environment)
    fleet.dispatcher().wait_ready(120)
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def worker(fleet: Fleet) -> Running:
    running = started(fleet, "worker")
    running.wait_ready(120)
    return running


def started(fleet: Fleet, name: str) -> Running:
    return fleet.worker(name, APP, "-Q", "api", "-c", "2")


def ask(api: Api, batch_id: str) -> dict[str, Any]:
    answer = patiently(lambda: api.client.post(f"/api/v1/batches/{batch_id}/archive"))
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"{api.url}/api/v1/batches/{batch_id}/archive"
    return dict(answer.json())


def built(api: Api, batch_id: str, seconds: float = 60) -> dict[str, Any]:
    def look() -> bool:
        answer = api.client.get(f"/api/v1/batches/{batch_id}/archive")
        assert answer.status_code in (200, 202), answer.text
        assert (answer.status_code == 202) == (answer.json()["state"] in ("queued", "running"))
        return bool(answer.status_code == 200)

    wait_until(look, "the end of the building", seconds)
    return dict(api.client.get(f"/api/v1/batches/{batch_id}/archive").json())


def archives_in(storage: Path) -> set[Path]:
    return {path for path in (storage / "archives").rglob("*") if path.is_file()}


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    yield database
    database.dispose()


@pytest.fixture
def store(storage: Path) -> DirectoryStore:
    return DirectoryStore(str(storage), FileUrlSigner([KEY]), "http://127.0.0.1")


def test_archive_is_built_once_and_fetched_by_a_signed_address(api: Api, worker: Running, storage: Path) -> None:
    batch_id, data = batch(api, 3), noise(400_000)
    ids = jobs(api, 3, {"web": data}, batch_id=batch_id)
    first = ask(api, batch_id)
    assert (first["state"], first["url"], first["bytes"]) in (("queued", None, None), ("running", None, None))
    done = built(api, batch_id)
    assert (done["task_id"], done["state"], done["files"], done["error"]) == (first["task_id"], "succeeded", 3, None)
    answer = api.client.get(done["url"])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert len(answer.content) == done["bytes"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {f"{each}/web.png" for each in ids}
    before = archives_in(storage)
    assert {path.parent.name for path in before} >= {done["task_id"]}
    assert ask(api, batch_id)["task_id"] == done["task_id"]
    assert archives_in(storage) == before
    task = api.client.get(f"/api/v1/tasks/{done['task_id']}").json()
    assert (task["result"]["sha256"], task["result"]["bytes"]) == (done["sha256"], done["bytes"])
    assert task["result"]["expires_at"] == done["expires_at"]
    assert "key" not in task["result"]
    assert worker.popen.poll() is None


def test_other_contents_are_another_archive(api: Api, worker: Running) -> None:
    batch_id = batch(api, 2)
    gone, _ = jobs(api, 2, {"web": b"x"}, batch_id=batch_id)
    first = ask(api, batch_id)
    assert built(api, batch_id)["files"] == 2
    api.query("DELETE FROM outputs WHERE job_id = %s", gone)
    api.query("DELETE FROM jobs WHERE id = %s", gone)
    assert ask(api, batch_id)["task_id"] != first["task_id"]
    assert built(api, batch_id)["files"] == 1


def test_archive_of_a_job_is_a_task_that_administrators_start(api: Api, worker: Running) -> None:
    job_id = job(api, {"web": b"x"})
    for args in ({}, {"job_id": job_id, "batch_id": job_id}, {"job_id": "x"}):
        assert api.client.post("/api/v1/tasks/build_zip", json={"args": args}).status_code == 422
    task = api.client.post("/api/v1/tasks/build_zip", json={"args": {"job_id": job_id}}).json()
    wait_until(lambda: api.client.get(task["urls"]["self"]).json()["state"] == "succeeded", "the end", 60)
    result = api.client.get(task["urls"]["self"]).json()["result"]
    with zipfile.ZipFile(io.BytesIO(api.client.get(result["url"]).content)) as archive:
        assert archive.namelist() == ["web.png"]


def test_archive_that_cannot_be_built_says_why_and_leaves_nothing(api: Api, worker: Running, storage: Path) -> None:
    batch_id, before = batch(api, 1), archives_in(storage)
    job_id = job(api, {"first": noise(2_000_000), "second": b"x"}, batch_id=batch_id)
    drop_object(api, job_id, "second")
    first = ask(api, batch_id)
    failed = built(api, batch_id)
    assert (failed["state"], failed["error"]["code"], failed["url"]) == ("failed", "source_not_found", None)
    assert archives_in(storage) == before
    # Whoever asks again gets another try.
    assert ask(api, batch_id)["task_id"] != first["task_id"]


@pytest.mark.parametrize(("total", "finished"), [(0, True), (1, False)], ids=["empty", "under-way"])
def test_batch_without_an_end_or_without_outputs_has_no_archive(api: Api, total: int, finished: bool) -> None:
    batch_id = batch(api, total, finished=finished)
    if total:
        job(api, {"web": b"x"}, batch_id=batch_id)
    answer = api.client.post(f"/api/v1/batches/{batch_id}/archive")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert api.client.get(f"/api/v1/batches/{batch_id}/archive").status_code == (404 if finished else 409)


def test_archives_of_others_and_of_nobody_are_not_found(api: Api) -> None:
    theirs = batch(api, 1, project="other")
    job(api, {"web": b"x"}, batch_id=theirs, project="other")
    for batch_id in (theirs, any_id(), "x"):
        assert api.client.post(f"/api/v1/batches/{batch_id}/archive").status_code == 404
        assert api.client.get(f"/api/v1/batches/{batch_id}/archive").status_code == 404


def test_many_who_ask_at_once_get_one_archive(api: Api) -> None:
    from concurrent.futures import ThreadPoolExecutor

    batch_id = batch(api, 1)
    job(api, {"web": b"x"}, batch_id=batch_id)
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda _: ask(api, batch_id)["task_id"], range(24)))
    assert len(set(made)) == 1
    found = api.query("SELECT count(*) FROM task_requests WHERE payload->>'batch_id' = %s", batch_id)
    assert found == [(1,)]


def test_archive_whose_time_is_over_is_deleted_and_can_be_had_again(
    api: Api, worker: Running, database: Database, store: DirectoryStore, storage: Path
) -> None:
    batch_id = batch(api, 1)
    job(api, {"web": b"x"}, batch_id=batch_id)
    first = ask(api, batch_id)
    built(api, batch_id)
    kept = archives_in(storage)
    assert expire_archives(database, store, kept=timedelta(seconds=600)) == 0
    assert archives_in(storage) == kept
    api.query("UPDATE task_requests SET finished_at = now() - interval '11 minutes' WHERE id = %s", first["task_id"])
    assert api.client.get(f"/api/v1/batches/{batch_id}/archive").status_code == 404
    assert expire_archives(database, store, kept=timedelta(seconds=600)) == 1
    assert {path.parent.name for path in kept - archives_in(storage)} == {first["task_id"]}
    assert ask(api, batch_id)["task_id"] != first["task_id"]
    assert built(api, batch_id)["state"] == "succeeded"


def test_sweep_takes_archives_that_no_row_names_and_no_others(
    api: Api, worker: Running, database: Database, store: DirectoryStore, storage: Path
) -> None:
    batch_id = batch(api, 1)
    job(api, {"web": b"x"}, batch_id=batch_id)
    ask(api, batch_id)
    done = built(api, batch_id)
    leftover = storage / "archives" / done["task_id"] / f"{uuid.uuid4()}.zip"
    leftover.write_bytes(b"x")
    kept = archives_in(storage) - {leftover}
    sweep_objects(database, store, older_than=timedelta(0))
    assert archives_in(storage) == kept


def test_worker_that_is_killed_in_the_middle_leaves_one_archive_in_the_end(
    api: Api, fleet: Fleet, worker: Running, directory: Path, database: Database, store: DirectoryStore, storage: Path
) -> None:
    worker.end()
    batch_id = batch(api, 1)
    job(api, {"web": noise(1_000)}, batch_id=batch_id)
    first = ask(api, batch_id)
    (directory / "failpoints" / f"archive.stored@{first['task_id']}").write_text(json.dumps({"action": "kill-parent"}))
    assert started(fleet, "doomed").popen.wait(120) == -signal.SIGKILL
    heir = started(fleet, "heir")
    api.query("UPDATE task_requests SET lease_until = clock_timestamp() WHERE id = %s", first["task_id"])
    done = built(api, batch_id, 120)
    assert (done["task_id"], done["state"]) == (first["task_id"], "succeeded")
    assert len(list((storage / "archives" / done["task_id"]).iterdir())) == 2
    sweep_objects(database, store, older_than=timedelta(0))
    (kept,) = (storage / "archives" / done["task_id"]).iterdir()
    assert kept.stat().st_size == done["bytes"]
    assert heir.popen.poll() is None
    assert os.path.exists(kept)
