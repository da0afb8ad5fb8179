"""Sweeps on a real Postgres, a directory and a bucket: what nobody needs goes, and nothing else ever does."""

import datetime
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from tests.integration.shared.processes import Fleet, environment_of, wait_until
from tests.integration.storage.conftest import Place, bucket, directory, opened, settings_for
from tests.patience import patient
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import JobUpload, Rendition, Upload
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.objects import probe_name, rendition_name, source_name, upload_name
from pixmill_shared.repositories import jobs, leftovers, uploads
from pixmill_shared.service import sweeping
from pixmill_shared.service.sweeping import sweep_objects, sweep_uploads
from pixmill_shared.storage import ObjectInfo, ObjectStore

__all__ = ["bucket", "directory"]

NOW = datetime.timedelta(0)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
PROJECT = "default"


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=16)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, uploads, job_uploads CASCADE"))
    yield database
    database.dispose()


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: Place = request.getfixturevalue(request.param)
    return found.store


def put(store: ObjectStore, *names: str) -> None:
    for name in names:
        store.put(name, b"12345", "image/webp")


def there(store: ObjectStore) -> set[str]:
    return {info.key for info in store.list("")}


def add_upload(session: Session, *, age: datetime.timedelta = 2 * DAY) -> Upload:
    upload_id = new_id()
    row = Upload(
        id=upload_id,
        project=PROJECT,
        key=upload_name(upload_id),
        sha256="s",
        bytes=5,
        media_type="image/png",
        completed_at=datetime.datetime.now(datetime.UTC) - age,
    )
    session.add(row)
    session.flush()
    return row


def add_job(session: Session, source_key: str | None = None, **changes: Any) -> uuid.UUID:
    new = jobs.NewJob(
        project=PROJECT,
        stage=Stage.RENDER,
        queue=QueueName.IMAGING,
        priority=1,
        source={},
        recipe={"outputs": []},
        source_key=source_key,
    )
    return jobs.insert(session, replace(new, **changes))


def add_rendition(session: Session) -> str:
    rendition_id, key = new_id(), new_id().hex * 2
    name = rendition_name(key, rendition_id, "webp")
    facts = {"source_sha256": "s", "recipe_hash": "r", "engine": "1", "format": "webp", "media_type": "image/webp"}
    size = {"width": 1, "height": 1, "bytes": 5, "sha256": "s"}
    session.add(Rendition(id=rendition_id, key=key, storage_key=name, **facts, **size))
    return name


def garbage() -> list[str]:
    """One of each kind."""
    key = new_id().hex * 2
    names = [source_name(new_id(), 3), upload_name(new_id()), rendition_name(key, new_id(), "webp")]
    return [*names, probe_name(new_id())]


def test_objects_that_no_row_names_are_deleted_and_all_others_stay(database: Database, store: ObjectStore) -> None:
    with database.session_scope() as session:
        upload = add_upload(session)
        add_job(session, upload.key)
        fetched = source_name(new_id(), 1)
        add_job(session, fetched)
        made = add_rendition(session)
        named = {upload.key, fetched, made}
    # A second object at a rendition's address, which lost against the first.
    loser = f"{made.rpartition('/')[0]}/{new_id()}.webp"
    left = [*garbage(), loser]
    put(store, *named, *left)
    swept = sweep_objects(database, store, older_than=NOW)
    assert there(store) == named
    assert (swept.looked_at, swept.deleted, swept.bytes) == (len(named) + len(left), len(left), 5 * len(left))
    assert sweep_objects(database, store, older_than=NOW).deleted == 0


def test_what_pixmill_did_not_name_is_left_alone(database: Database, store: ObjectStore) -> None:
    foreign = {
        "sources/readme.txt",
        f"sources/{new_id()}/draft",
        f"uploads/{new_id()}.png",
        "uploads/holiday/beach.jpg",
        f"renditions/00/11aa/{new_id()}.webp",  # its directory is not the beginning of its address
        "renditions/00/00aa/web.webp",
        f"backups/{new_id()}",
        "probes/mine",
    }
    put(store, *foreign)
    assert sweep_objects(database, store, older_than=NOW).deleted == 0
    assert there(store) == foreign


def test_young_objects_stay(database: Database, store: ObjectStore) -> None:
    names = garbage()
    put(store, *names)
    assert sweep_objects(database, store, older_than=HOUR).deleted == 0
    assert there(store) == set(names)


def test_dry_run_counts_and_deletes_nothing(database: Database, store: ObjectStore) -> None:
    names = garbage()
    put(store, *names)
    with database.session_scope() as session:
        kept = add_upload(session).key
    put(store, kept)
    assert sweep_objects(database, store, older_than=NOW, dry_run=True).deleted == len(names)
    assert sweep_uploads(database, store, older_than=DAY, dry_run=True).deleted == 1
    assert there(store) == {*names, kept}
    with database.session_scope() as session:
        assert session.scalars(select(Upload.key)).all() == [kept]


def test_sweep_of_many_pages_and_with_a_bound_goes_on_where_it_ended(
    database: Database, directory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "PAGE", 3)
    put(directory.store, *(name for _ in range(5) for name in garbage()))
    assert sweep_objects(database, directory.store, older_than=NOW, most=13).deleted == 13
    assert len(there(directory.store)) == 7
    assert sweep_objects(database, directory.store, older_than=NOW).deleted == 7
    with database.session_scope() as session:
        ids = [add_upload(session).id for _ in range(10)]
        add_job(session, upload_name(ids[4]))
    swept = sweep_uploads(database, directory.store, older_than=DAY)
    assert (swept.looked_at, swept.deleted) == (10, 9)


class Elsewhere(ObjectStore):
    """A file server whose clock is wrong by two days."""

    def __init__(self, store: ObjectStore, wrong_by: datetime.timedelta) -> None:
        self._store = store
        self._wrong_by = wrong_by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, data: bytes, media_type: str) -> None:
        self._store.put(key, data, media_type)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def remove_unfinished(self, before: datetime.datetime) -> int:
        return self._store.remove_unfinished(before - self._wrong_by)

    def head(self, key: str) -> ObjectInfo:
        return self._shifted(self._store.head(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return map(self._shifted, self._store.list(prefix))

    def _shifted(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, modified=info.modified + self._wrong_by)


@pytest.mark.parametrize("wrong_by", [-2 * DAY, 2 * DAY], ids=["behind", "ahead"])
def test_age_is_told_by_the_stores_own_clock(
    database: Database, directory: Place, wrong_by: datetime.timedelta
) -> None:
    old, young = garbage(), garbage()
    put(directory.store, *old, *young)
    for name in old:
        age(directory, name, 2 * DAY)
    sweep_objects(database, Elsewhere(directory.store, wrong_by), older_than=DAY)
    assert there(directory.store) == set(young)


def age(place: Place, name: str, by: datetime.timedelta) -> None:
    path = Path(place.settings.directory) / name
    then = time.time() - by.total_seconds()
    os.utime(path, (then, then))


def test_files_of_killed_writers_are_removed_and_those_of_living_ones_are_not(
    database: Database, directory: Place
) -> None:
    root = Path(directory.settings.directory)
    dead, living, foreign = f"{garbage()[0]}#1", f"{garbage()[1]}#7", "notes/issue #x"
    for name in (dead, living, foreign):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"half")
    age(directory, dead, DAY)
    age(directory, foreign, DAY)
    assert sweep_objects(database, directory.store, older_than=HOUR).unfinished == 1
    assert not (root / dead).exists()
    assert (root / living).exists()
    assert (root / foreign).exists()


def test_directory_that_nothing_was_ever_written_to_is_swept(database: Database, tmp_path: Path) -> None:
    store = opened(settings_for({"PIXMILL_STORAGE_URL": (tmp_path / "not" / "yet").as_uri()}))
    assert store.remove_unfinished(datetime.datetime.now(datetime.UTC)) == 0
    assert sweep_objects(database, store, older_than=NOW).looked_at == 0


def test_uploads_that_no_job_used_in_time_are_deleted_with_their_objects(
    database: Database, store: ObjectStore
) -> None:
    with database.session_scope() as session:
        unused, young = add_upload(session), add_upload(session, age=HOUR)
        source, mark = add_upload(session), add_upload(session)
        job_id = add_job(session, source.key)
        uploads.note_use(session, job_id, {mark.id})
        keys = {young.key, source.key, mark.key}
    put(store, unused.key, *keys)
    swept = sweep_uploads(database, store, older_than=DAY)
    assert (swept.looked_at, swept.deleted) == (3, 1)
    assert there(store) == keys
    with database.session_scope() as session:
        assert set(session.scalars(select(Upload.key))) == keys
        session.execute(text("DELETE FROM jobs"))
        assert session.scalars(select(JobUpload.job_id)).all() == []
    assert sweep_uploads(database, store, older_than=DAY).deleted == 2
    assert there(store) == {young.key}


def test_upload_whose_job_is_being_made_is_passed_by(database: Database, directory: Place) -> None:
    with database.session_scope() as session:
        source, mark = add_upload(session), add_upload(session)
        put(directory.store, source.key, mark.key)
    with database.session_scope() as submission:
        found = uploads.find_for_job(submission, PROJECT, source.id)
        assert uploads.digests(submission, PROJECT, {mark.id}) == {mark.id: "s"}
        # On a connection of its own, and it does not wait.
        assert sweep_uploads(database, directory.store, older_than=DAY).deleted == 0
        job_id = add_job(submission, found.key if found else None)
        assert sweep_uploads(database, directory.store, older_than=DAY).deleted == 0
        uploads.note_use(submission, job_id, {mark.id})
    assert sweep_uploads(database, directory.store, older_than=DAY).deleted == 0
    assert there(directory.store) == {source.key, mark.key}


def test_submission_of_an_upload_that_is_being_deleted_waits_and_finds_none(database: Database) -> None:
    with database.session_scope() as session:
        upload_id = add_upload(session).id

    def submit() -> bool:
        with database.session_scope() as session:
            patient(session)
            return uploads.find_for_job(session, PROJECT, upload_id) is not None

    with ThreadPoolExecutor(1) as other:
        with database.session_scope() as sweep:
            assert leftovers.delete_unused_uploads(sweep, [upload_id]) == [upload_name(upload_id)]
            found = other.submit(submit)
            wait_until(lambda: waits_for_a_lock(database), 60, "the submission's wait")
            assert not found.done()
        assert found.result(60) is False


def waits_for_a_lock(database: Database) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.session_scope() as session:
        return bool(session.scalar(text(waiting)))


#: Stops a statement in its midst, when its snapshot is taken and its rows are not yet locked: a policy is asked for
#: each row, and this one waits while a test holds the lock.
PAUSE = """
CREATE FUNCTION pause() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF current_setting('pixmill.pause', true) = 'on' THEN
    PERFORM pg_advisory_lock(4242);
    PERFORM pg_advisory_unlock(4242);
  END IF;
  RETURN true;
END $$;
CREATE POLICY pausing ON uploads USING (pause()) WITH CHECK (true);
ALTER TABLE uploads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
"""
NO_PAUSE = """
ALTER TABLE uploads NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
DROP POLICY pausing ON uploads;
DROP FUNCTION pause();
"""


@pytest.mark.parametrize("used_as", ["source", "watermark"])
def test_upload_that_a_job_took_after_the_sweep_had_looked_stays(database: Database, used_as: str) -> None:
    with database.session_scope() as session:
        upload_id = add_upload(session).id
        session.execute(text(PAUSE))
    begun = threading.Event()

    def sweep() -> list[str]:
        with database.session_scope() as session:
            patient(session)
            session.execute(text("SELECT set_config('pixmill.pause', 'on', true)"))
            begun.set()
            return leftovers.delete_unused_uploads(session, [upload_id])

    try:
        with ThreadPoolExecutor(1) as other, database.session_scope() as holder:
            holder.execute(text("SELECT pg_advisory_lock(4242)"))
            swept = other.submit(sweep)
            assert begun.wait(60)
            wait_until(lambda: waits_for_a_lock(database), 60, "the sweep's pause")
            with database.session_scope() as submission:
                found = uploads.find_for_job(submission, PROJECT, upload_id)
                assert found
                job_id = add_job(submission, found.key if used_as == "source" else None)
                uploads.note_use(submission, job_id, {upload_id} if used_as == "watermark" else set())
            holder.execute(text("SELECT pg_advisory_unlock(4242)"))
            assert swept.result(60) == []
    finally:
        with database.session_scope() as session:
            session.execute(text(NO_PAUSE))
    with database.session_scope() as session:
        assert session.get(Upload, upload_id)


ANSWERS = """
INSERT INTO idempotency_records (project, key, request_sha256, status, body, expires_at)
VALUES ('p', 'old', '', 202, '{}', now() - interval '1 s'), ('p', 'new', '', 202, '{}', now() + interval '1 h')
"""


def test_worker_sweeps_when_beat_says_so(
    servers: Servers, postgres_url: str, redis_url: str, database: Database, tmp_path: Path
) -> None:
    """A real worker as the stack starts it: its children use the store, its parent never did."""
    fleet = Fleet(tmp_path, environment_of(servers.stack.environment, postgres_url, tmp_path))
    place = settings_for({"PIXMILL_STORAGE_URL": fleet.environment["PIXMILL_STORAGE_URL"]})
    store = opened(place)
    with database.session_scope() as session:
        unused = add_upload(session).key
        session.execute(text(ANSWERS))
    old, young = garbage(), garbage()
    put(store, unused, *old, *young)
    for name in old:
        age(Place(store, place, list), name, 2 * DAY)
    try:
        worker = fleet.worker("worker", "pixmill_api.celery_app", "-P", "prefork", "-c", "1", "-Q", "maintenance,api")
        worker.wait_ready()
        send(redis_url, TaskName.EXPIRE_UPLOADS, QueueName.API)
        send(redis_url, TaskName.CLEAN_UP, QueueName.MAINTENANCE)
        wait_until(lambda: there(store) == set(young), 60, "both sweeps")
        wait_until(lambda: worker.metric("pixmill_tasks_total", 'outcome="succeeded"') == 2, 60, "their ends")
    finally:
        fleet.stop()
    with database.session_scope() as session:
        assert session.scalars(text("SELECT key FROM idempotency_records")).all() == ["new"]


def test_command_sweeps_and_prints_counts(
    servers: Servers, postgres_url: str, database: Database, tmp_path: Path
) -> None:
    variables = environment_of(servers.stack.environment, postgres_url, tmp_path)
    place = settings_for({"PIXMILL_STORAGE_URL": variables["PIXMILL_STORAGE_URL"]})
    store = opened(place)
    with database.session_scope() as session:
        unused = add_upload(session).key
    left = {unused, *garbage()}
    put(store, *left)

    def pixmill(*options: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "pixmill", "sweep", *options]
        return subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=150, check=False)

    done = pixmill("--older-than", "0", "--dry-run")
    assert done.stdout.splitlines()[:2] == ["uploads           1 of 1", "objects           4 of 5, 20 bytes"], done
    assert there(store) == left
    (Path(place.directory) / f"{unused}#3").touch()
    done = pixmill()
    assert done.stdout.splitlines() == [
        "uploads           1 of 1",
        "objects           0 of 4, 0 bytes",
        "unfinished files  0",
    ], done
    done = pixmill("--older-than", "0")
    assert (done.returncode, there(store)) == (0, set())
    assert "unfinished files  1" in done.stdout
    done = pixmill("--older-than", "-1")
    assert (done.returncode, done.stderr) == (1, "pixmill sweep: --older-than takes seconds, 0 or more.\n")


def send(redis_url: str, task: TaskName, queue: QueueName) -> None:
    """As beat does, from another process: this one has no settings."""
    code = f"from pixmill_shared.celery_app import app; app.send_task({task.value!r}, queue={queue.value!r})"
    subprocess.run([sys.executable, "-c", code], env={"REDIS_URL": redis_url}, check=True, timeout=150)
