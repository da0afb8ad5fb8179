"""DELETE of jobs and batches: rows first, objects after, and nothing that somebody else needs."""

import datetime
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.integration.api.running import Api, patiently, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.api.test_batches import made as made_batch
from tests.integration.api.test_batches import source
from tests.integration.shared.test_repositories import made
from tests.patience import patient

from pixmill_shared.database.engine import Database
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.objects import rendition_name, source_name
from pixmill_shared.repositories import deleting, jobs, renditions
from pixmill_shared.service.sweeping import sweep_objects
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import open_store
from pixmill_shared.storage.signing import FileUrlSigner

TABLES = ("jobs", "outputs", "job_events", "deliveries", "job_uploads", "renditions", "batches")
GONE = (404, "not_found")


@pytest.fixture
def database(api: Api) -> Iterator[Database]:
    database = Database(api.database_url, pool_size=4, max_overflow=4)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, deliveries, batches CASCADE"))
    yield database
    database.dispose()


def address() -> str:
    """Of a content that nobody has made yet."""
    return new_id().hex * 2


def rendered(key: str, **changes: Any) -> dict[str, Any]:
    rendition_id = new_id()
    name = rendition_name(key, rendition_id, "webp")
    return made(key=key, **{"id": str(rendition_id), "storage_key": name, **changes})


def put(api: Api, name: str) -> str:
    path = api.storage / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    return name


def complete(api: Api, database: Database, job_id: str, *rows: dict[str, Any]) -> None:
    """With objects for what it is the first to make."""
    with database.session_scope() as session:
        session.execute(
            text("UPDATE jobs SET stage = 'render', queue = 'imaging', run_at = NULL WHERE id = :id"), {"id": job_id}
        )
        job = jobs.claim(session, uuid.UUID(job_id), Stage.RENDER, "w", 60)
        assert job is not None
        for row in rows:
            if not row["cached"]:
                put(api, row["storage_key"])
        assert jobs.complete(session, job, found={}, sha256="s", made=rows) is not None


def submitted(api: Api, database: Database, **changes: Any) -> str:
    """A job whose source was copied from a URL, if not told otherwise."""
    job_id = str(api.client.post("/api/v1/jobs", json={**source(), "recipe": RECIPE}).json()["job_id"])
    name = changes.get("source_key") or put(api, source_name(uuid.UUID(job_id), 1))
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET source_key = :key WHERE id = :id"), {"key": name, "id": job_id})
    return job_id


RECIPE = {"outputs": [{"name": "web"}]}


def rows(api: Api) -> dict[str, int]:
    return {table: api.query(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def objects_are(api: Api, *names: str) -> None:
    wait_until(lambda: api.objects() == sorted(names), f"only {names} in the storage", 60)


def someone_waits(api: Api) -> bool:
    """For a lock on a row. Whoever does so here waits for as long as it takes, or comes again."""
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        " AND backend_type = 'client backend'"
    )
    return bool(api.query(query))


def test_deleted_job_takes_with_it_what_only_it_had(api: Api, database: Database) -> None:
    objects_are_before = api.objects()
    job_id = submitted(api, database)
    complete(api, database, job_id, rendered(address()), rendered(address(), name="thumb", position=1))
    assert len(api.objects()) == len(objects_are_before) + 3
    answer = api.client.delete(f"/api/v1/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(rows(api).values()) == {0}
    objects_are(api, *objects_are_before)
    assert_problem(api.client.get(f"/api/v1/jobs/{job_id}"), *GONE)
    assert_problem(api.client.delete(f"/api/v1/jobs/{job_id}"), *GONE)


def test_what_another_job_has_stays(api: Api, database: Database) -> None:
    before = api.objects()
    first = submitted(api, database)
    copied = source_name(uuid.UUID(first), 1)
    second = submitted(api, database, source_key=copied)
    shared, own = rendered(address()), rendered(address(), name="own", position=1)
    complete(api, database, first, shared, own)
    complete(api, database, second, {**shared, "cached": True})
    assert api.client.delete(f"/api/v1/jobs/{first}").status_code == 204
    objects_are(api, *before, copied, shared["storage_key"])
    job = api.client.get(f"/api/v1/jobs/{second}").json()
    assert api.client.get(job["result"]["url"]).content == b"bytes"
    assert api.client.delete(f"/api/v1/jobs/{second}").status_code == 204
    objects_are(api, *before)
    assert rows(api)["renditions"] == 0


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_job_that_has_not_ended_is_409_and_stays(api: Api, database: Database, status: str) -> None:
    job_id = submitted(api, database)
    api.query("UPDATE jobs SET status = %s WHERE id = %s", status, job_id)
    before = api.traces()
    assert "Cancel it first" in assert_problem(api.client.delete(f"/api/v1/jobs/{job_id}"), 409, "conflict")["detail"]
    assert api.traces() == before
    assert api.client.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 200
    (name,) = api.query("SELECT source_key FROM jobs WHERE id = %s", job_id)[0]
    assert api.client.delete(f"/api/v1/jobs/{job_id}").status_code == 204
    # The next test is not to meet what goes after the answer.
    wait_until(lambda: name not in api.objects(), "its source is gone", 60)


@pytest.mark.parametrize("kind", ["jobs", "batches"])
@pytest.mark.parametrize("name", ["x", "01890a5d-ac96-774b-bcce-b302099a8057", "%00"])
def test_what_is_not_there_is_404(api: Api, kind: str, name: str) -> None:
    assert_problem(api.client.delete(f"/api/v1/{kind}/{name}"), *GONE)


@pytest.mark.parametrize("kind", ["jobs", "batches"])
def test_another_projects_is_404_and_stays(api: Api, database: Database, kind: str) -> None:
    batch = made_batch(api, 1)
    api.client.post(batch["urls"]["cancel"])
    found = {"jobs": batch["jobs"][0]["job_id"], "batches": batch["batch_id"]}[kind]
    api.query(f"UPDATE {kind} SET project = 'others' WHERE id = %s", found)
    before = rows(api)
    assert_problem(api.client.delete(f"/api/v1/{kind}/{found}"), *GONE)
    assert rows(api) == before


def test_deleted_batch_takes_its_jobs_and_what_only_they_had(api: Api, database: Database) -> None:
    before = api.objects()
    other = submitted(api, database)
    batch = made_batch(api, 3, webhook_url="https://example.com/batch")
    shared = rendered(address())
    complete(api, database, other, shared)
    kept = api.objects()
    complete(api, database, batch["jobs"][0]["job_id"], {**shared, "cached": True}, rendered(address(), name="own"))
    assert_problem(api.client.delete(batch["urls"]["self"]), 409, "conflict")
    api.client.post(batch["urls"]["cancel"])
    assert rows(api)["deliveries"] == 1
    repeated = api.client.post(f"{batch['urls']['self']}/retry").json()
    assert api.client.delete(batch["urls"]["self"]).status_code == 204
    objects_are(api, *kept)
    assert api.query("SELECT id::text FROM jobs WHERE batch_id IS NULL") == [(other,)]
    found = rows(api)
    assert (found["batches"], found["jobs"], found["outputs"], found["renditions"]) == (1, 3, 1, 1)
    assert found["deliveries"] == 0
    assert_problem(api.client.get(batch["urls"]["self"]), *GONE)
    # What was made of it goes on, and points at nothing.
    again = api.client.get(repeated["urls"]["self"]).json()
    assert (again["retry_of"], again["counts"]["queued"]) == (None, 2)
    assert before != kept


def test_job_that_is_about_to_link_a_rendition_keeps_it(api: Api, database: Database) -> None:
    first, second = submitted(api, database), submitted(api, database)
    shared = rendered(address())
    complete(api, database, first, shared)
    answers: list[int] = []
    deletion = threading.Thread(
        target=lambda: answers.append(patiently(lambda: api.client.delete(f"/api/v1/jobs/{first}")).status_code)
    )
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET stage = 'render', queue = 'imaging' WHERE id = :id"), {"id": second})
        job = jobs.claim(session, uuid.UUID(second), Stage.RENDER, "w", 60)
        assert job is not None
    with database.session_scope() as session:
        assert renditions.lock(session, {shared["id"]})
        deletion.start()
        wait_until(lambda: someone_waits(api), "the deletion waits for the rendition", 60)
        assert jobs.complete(session, job, found={}, sha256="s", made=[{**shared, "cached": True}]) is not None
    deletion.join(60)
    assert answers == [204]
    job_document = api.client.get(f"/api/v1/jobs/{second}").json()
    assert api.client.get(job_document["result"]["url"]).content == b"bytes"


def test_job_that_comes_too_late_to_link_a_rendition_finds_it_gone(api: Api, database: Database) -> None:
    first, second = submitted(api, database), submitted(api, database)
    shared = rendered(address())
    complete(api, database, first, shared)
    found: list[bool] = []

    def link() -> None:
        with database.session_scope() as session:
            patient(session)
            found.append(renditions.lock(session, {shared["id"]}))

    late = threading.Thread(target=link)
    with database.session_scope() as session:
        assert deleting.lock_job(session, uuid.UUID(first), "default") == "completed"
        assert shared["storage_key"] in deleting.delete_job(session, uuid.UUID(first))
        late.start()
        wait_until(lambda: someone_waits(api), "the other job waits", 60)
    late.join(60)
    assert found == [False]
    # It makes the rendition anew, under a name of its own.
    complete(api, database, second, rendered(shared["key"]))


def test_two_who_delete_the_last_two_links_leave_no_rendition(api: Api, database: Database) -> None:
    first, second = submitted(api, database), submitted(api, database)
    shared = rendered(address())
    complete(api, database, first, shared)
    complete(api, database, second, {**shared, "cached": True})
    names: list[str] = []

    def delete_second() -> None:
        with database.session_scope() as session:
            patient(session)
            deleting.lock_job(session, uuid.UUID(second), "default")
            names.extend(deleting.delete_job(session, uuid.UUID(second)))

    other = threading.Thread(target=delete_second)
    with database.session_scope() as session:
        deleting.lock_job(session, uuid.UUID(first), "default")
        assert shared["storage_key"] not in deleting.delete_job(session, uuid.UUID(first))
        other.start()
        wait_until(lambda: someone_waits(api), "the second one waits", 60)
    other.join(60)
    assert shared["storage_key"] in names
    assert rows(api)["renditions"] == 0


@pytest.mark.parametrize("what", ["jobs", "batches"])
def test_what_a_crash_after_the_commit_leaves_is_swept(postgres_url: str, tmp_path: Path, what: str) -> None:
    failpoints = tmp_path / "failpoints"
    failpoints.mkdir()
    storage = tmp_path / "objects"
    with running_api(postgres_url, storage, killed=True, PIXMILL_FAILPOINTS=str(failpoints)) as api:
        database = Database(api.database_url)
        with database.session_scope() as session:
            session.execute(text("TRUNCATE jobs, renditions, deliveries, batches CASCADE"))
        batch = made_batch(api, 1)
        job_id = batch["jobs"][0]["job_id"]
        api.query("UPDATE jobs SET source_key = %s", put(api, source_name(uuid.UUID(job_id), 1)))
        complete(api, database, job_id, rendered(address()))
        url, key = {
            "jobs": (f"/api/v1/jobs/{job_id}", job_id),
            "batches": (f"/api/v1/batches/{batch['batch_id']}", batch["batch_id"]),
        }[what]
        (failpoints / f"delete.committed@{key}").write_text(json.dumps({"action": "kill"}))
        with pytest.raises(httpx.TransportError):
            api.client.delete(url)
        api.process.wait(60)
        assert rows(api)["jobs"] == rows(api)["renditions"] == 0
        assert len(api.objects()) == 2
        store = open_store(StorageSettings(url=storage.as_uri()), FileUrlSigner(["k"]), api.url)
        swept = sweep_objects(database, store, older_than=datetime.timedelta(0))
        assert (swept.deleted, api.objects()) == (2, [])
        database.dispose()
