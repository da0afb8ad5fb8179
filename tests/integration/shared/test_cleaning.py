"""The nightly clean-up on a real Postgres: what is old goes, what is needed stays, and nobody waits for it."""

import datetime
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.cleaning.trial import KEPT, clean_beside_jobs, fill_with_old
from tests.integration.shared.processes import environment_of
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.objects import rendition_name, source_name, upload_name
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.cleaning import clean_up

TABLES = (
    *("jobs", "batches", "renditions", "uploads", "deliveries", "dead_letters", "alerts", "alert_messages", "reports"),
    *("queue_samples", "beat_runs", "task_requests", "idempotency_records", "audit", "backups", "endpoints"),
    "receivers",
)
OLD = 91


@pytest.fixture
def clients(postgres_url: str, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    for name, value in environment_of(servers.stack.environment, postgres_url, tmp_path).items():
        monkeypatch.setenv(name, value)
    clients = Runtime(threads=4)
    run(clients, f"TRUNCATE {', '.join(TABLES)} CASCADE")
    yield clients
    clients.database.dispose()


def run(clients: Runtime, sql: str, **values: object) -> list[Any]:
    with clients.database.session_scope() as session:
        result = session.execute(text(sql), values)
        return list(result) if result.returns_rows else []


def count(clients: Runtime, table: str) -> int:
    return int(run(clients, f"SELECT count(*) FROM {table}")[0][0])


def put(clients: Runtime, *names: str) -> None:
    for name in names:
        clients.store.put(name, b"12345", "image/webp")


def there(clients: Runtime) -> set[str]:
    return {info.key for info in clients.store.list("")}


def job(clients: Runtime, *, source_key: str | None = None, **changes: object) -> uuid.UUID:
    """``changes`` are SQL."""
    new = jobs.NewJob("p", Stage.RENDER, QueueName.IMAGING, 1, {}, {"outputs": []}, source_key=source_key)
    with clients.database.session_scope() as session:
        made = jobs.insert(session, new)
    for column, value in changes.items():
        run(clients, f"UPDATE jobs SET {column} = {value} WHERE id = :id", id=made)
    return made


def ended(clients: Runtime, days: int, status: str = "completed", **more: Any) -> uuid.UUID:
    moment = f"now() - interval '{days} days'"
    return job(clients, status=f"'{status}'", stage="NULL", finished_at=moment, created_at=moment, **more)


def rendition(clients: Runtime, *of: uuid.UUID, days: int = OLD) -> str:
    made, key = new_id(), new_id().hex * 2
    name = rendition_name(key, made, "webp")
    run(
        clients,
        "INSERT INTO renditions (id, key, storage_key, source_sha256, recipe_hash, engine, format, media_type, width, "
        "height, bytes, sha256, created_at) VALUES (:id, :key, :name, 's', 'r', '1', 'webp', 'image/webp', 1, 1, 5, "
        "'s', now() - make_interval(days => :days))",
        id=made,
        key=key,
        name=name,
        days=days,
    )
    for job_id in of:
        run(clients, "INSERT INTO outputs VALUES (:job, :name, 0, :made)", job=job_id, name=name, made=made)
    put(clients, name)
    return name


def delivery(clients: Runtime, job_id: uuid.UUID | None, event_id: uuid.UUID, ended: str) -> uuid.UUID:
    made = new_id()
    run(
        clients,
        "INSERT INTO deliveries (id, project, status, queue, event_id, event_type, job_id, url, finished_at) VALUES "
        f"(:id, 'p', CASE WHEN {ended} IS NULL THEN 'queued' ELSE 'completed' END, 'notifier', :event, 'x', :job, "
        f"'https://example.com', {ended})",
        id=made,
        event=event_id,
        job=job_id,
    )
    run(clients, "INSERT INTO delivery_attempts (delivery_id, fence, duration_ms) VALUES (:id, 1, 5)", id=made)
    return made


def test_receivers_that_nobody_asked_for_a_week_are_forgotten(clients: Runtime) -> None:
    for host, days in (("gone.example", 8), ("away.example", 6)):
        sql = "INSERT INTO receivers (host, failures, asked_at) VALUES (:host, 2, now() - make_interval(days => :days))"
        run(clients, sql, host=host, days=days)
    assert clean_up(clients)["rows"]["receivers"] == 1
    assert [row.host for row in run(clients, "SELECT host FROM receivers")] == ["away.example"]


def test_ended_jobs_go_with_what_only_they_needed(clients: Runtime) -> None:
    lone, shared, loose = source_name(new_id(), 1), source_name(new_id(), 1), rendition(clients)
    old, young = ended(clients, OLD, source_key=lone), ended(clients, OLD - 2, source_key=shared)
    other = ended(clients, OLD, status="failed", source_key=shared)
    put(clients, lone, shared)
    gone, kept, fresh = rendition(clients, old, other), rendition(clients, old, young), rendition(clients, days=0)
    delivery(clients, old, new_id(), f"now() - interval '{OLD} days'")
    told = ended(clients, OLD)
    waiting = delivery(clients, told, new_id(), "NULL")
    result = clean_up(clients)
    assert {row[0] for row in run(clients, "SELECT id FROM jobs")} == {young, told}
    assert [row[0] for row in run(clients, "SELECT id FROM deliveries")] == [waiting]
    assert there(clients) == {shared, kept, fresh}
    assert not {lone, gone, loose} & there(clients)
    assert (result["rows"]["jobs"], result["rows"]["renditions"], result["unfinished"]) == (2, 1, [])
    assert result["objects"]["deleted"] == 0


def test_jobs_that_never_ended_are_given_up_after_ninety_days(clients: Runtime) -> None:
    old = f"now() - interval '{OLD} days'"
    job(clients, created_at=old)
    job(clients, created_at=old, status="'processing'", lease_until=old)
    kept = {
        job(clients, created_at="now() - interval '89 days'"),
        job(clients, created_at=old, run_at="now() + interval '1 day'"),
        job(clients, created_at=old, status="'processing'", lease_until="now() + interval '15 s'"),
    }
    assert clean_up(clients)["rows"]["unfinished_jobs"] == 2
    assert {row[0] for row in run(clients, "SELECT id FROM jobs")} == kept


def test_batch_whose_last_job_is_given_up_ends_and_tells_of_it(clients: Runtime) -> None:
    batch = new_id()
    run(
        clients,
        "INSERT INTO batches (id, project, total, completed, webhook_url) VALUES (:id, 'p', 2, 1, 'https://e.com')",
        id=batch,
    )
    of_batch = {"batch_id": f"'{batch}'"}
    done = ended(clients, 1, **of_batch)
    job(clients, created_at=f"now() - interval '{OLD} days'", **of_batch)
    clean_up(clients)
    assert run(clients, "SELECT id FROM jobs") == [(done,)]
    assert run(clients, "SELECT status, completed, canceled FROM batches") == [("partially_completed", 1, 1)]
    assert run(clients, "SELECT event_type, status FROM deliveries") == [("batch.completed", "queued")]


def test_batch_goes_when_its_jobs_are_gone_and_its_end_was_told(clients: Runtime) -> None:
    batches = [new_id() for _ in range(4)]
    for days, batch in zip((OLD, OLD, OLD, 1), batches, strict=True):
        run(
            clients,
            "INSERT INTO batches (id, project, total, status, finished_at) VALUES (:id, 'p', 1, 'completed', "
            "now() - make_interval(days => :days))",
            id=batch,
            days=days,
        )
    ended(clients, OLD, batch_id=f"'{batches[0]}'")
    ended(clients, 1, batch_id=f"'{batches[1]}'")
    delivery(clients, None, batches[2], "NULL")
    assert clean_up(clients)["rows"]["batches"] == 1
    assert {row[0] for row in run(clients, "SELECT id FROM batches")} == set(batches[1:])


ROWS = {
    "dead_letters": "(id, task, payload, error, attempts, created_at) VALUES (:id, 't', '{}', '{}', 1, :at)",
    "alerts": "(id, rule, subject, state, detail, ended_at) VALUES (:id, 'r', 's', 'resolved', 'd', :at)",
    "alert_messages": "(id, queue, channel, kind, body, finished_at) VALUES (:id, 'q', 'c', 'k', '{}', :at)",
    "reports": "(day, figures) VALUES (CAST(:at AS date), '{}')",
    "queue_samples": "(queue, at, depth) VALUES ('q', :at, 1)",
    "task_requests": "(id, project, queue, task, requested_by, finished_at) VALUES (:id, 'p', 'q', 't', 'me', :at)",
    "audit": "(id, actor, action, target, at) VALUES (:id, 'me', 'a', 't', :at)",
    "beat_runs": "(entry, scheduled_at, sent_at) VALUES ('e', :at, :at)",
    "idempotency_records": "(project, key, request_sha256, status, body, expires_at) "
    "VALUES ('p', CAST(CAST(:at AS timestamptz) AS text), '', 202, '', :at)",
}
DAYS_KEPT = {
    "audit": 730,
    "reports": 365,
    "queue_samples": 14,
    "task_requests": 30,
    "beat_runs": 7,
    "idempotency_records": 0,
}


@pytest.mark.parametrize("table", ROWS)
def test_row_goes_when_its_time_is_over(clients: Runtime, table: str) -> None:
    now, kept = datetime.datetime.now(datetime.UTC), DAYS_KEPT.get(table, 90)
    ages = [datetime.timedelta(days=kept, hours=hours) for hours in (49, 48, 47, 1, -1)]
    if table == "reports":
        ages = [datetime.timedelta(days=kept + more) for more in (5, 4, 3, 2, -2)]
    for age in ages:
        values: dict[str, object] = {"at": now - age}
        run(
            clients,
            f"INSERT INTO {table} {ROWS[table]}",
            **values,
            **({"id": new_id()} if ":id" in ROWS[table] else {}),
        )
    result = clean_up(clients)
    assert result["rows"][table] == 4
    assert count(clients, table) == 1


def test_retention_of_nothing_keeps_for_ever(clients: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(clients, 3_000)
    run(clients, f"INSERT INTO audit {ROWS['audit']}", id=new_id(), at=datetime.datetime(2000, 1, 1))
    monkeypatch.setenv("PIXMILL_KEEP_JOBS", "0")
    monkeypatch.setenv("PIXMILL_KEEP_AUDIT", "0")
    result = clean_up(clients)
    assert (count(clients, "jobs"), count(clients, "audit")) == (1, 1)
    assert not {"jobs", "audit"} & set(result["rows"])


def test_events_go_before_their_jobs_where_that_is_wanted(clients: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    done, under_way = ended(clients, 9), job(clients)
    for each in (done, under_way):
        run(
            clients,
            "INSERT INTO job_events (id, job_id, sequence, type, at) VALUES (:id, :job, 1, 't', current_date - 9)",
            id=new_id(),
            job=each,
        )
    clean_up(clients)
    assert count(clients, "job_events") == 2
    monkeypatch.setenv("PIXMILL_KEEP_EVENTS", "8")
    clean_up(clients)
    assert run(clients, "SELECT job_id FROM job_events") == [(under_way,)]


def test_archive_keeps_the_row_that_names_it(clients: Runtime) -> None:
    columns = "(id, project, queue, task, requested_by, finished_at, result)"
    values = "(:id, 'p', 'q', 't', 'me', now() - interval '1 year', '{\"key\": \"archives/x\"}')"
    run(clients, f"INSERT INTO task_requests {columns} VALUES {values}", id=new_id())
    clean_up(clients)
    assert count(clients, "task_requests") == 1


def test_uploads_that_only_deleted_jobs_used_go_too(clients: Runtime) -> None:
    upload = new_id()
    name = upload_name(upload)
    run(
        clients,
        "INSERT INTO uploads (id, project, key, sha256, bytes, media_type, completed_at) "
        "VALUES (:id, 'p', :name, 's', 5, 'image/png', now() - interval '1 year')",
        id=upload,
        name=name,
    )
    put(clients, name)
    ended(clients, OLD, source_key=name)
    assert clean_up(clients)["rows"]["uploads"] == 1
    assert (count(clients, "uploads"), there(clients)) == (0, set())


def test_killed_clean_up_leaves_nothing_that_the_next_does_not_find(clients: Runtime, tmp_path: Path) -> None:
    """Killed between the commit and the first object, and again."""
    old = [ended(clients, OLD) for _ in range(3)]
    names = [rendition(clients, each) for each in old]
    kept = rendition(clients, ended(clients, 1))
    failpoints = tmp_path / "failpoints"
    failpoints.mkdir()
    (failpoints / "cleanup.committed@jobs").write_text('{"action": "kill"}')
    code = "from pixmill_shared.runtime import start_runtime\nfrom pixmill_shared.service.cleaning import clean_up\n"
    code += "print(clean_up(start_runtime()))"
    environment = {**os.environ, "PIXMILL_ENV": "test", "PIXMILL_FAILPOINTS": str(failpoints)}
    argv = [sys.executable, "-c", code]
    killed = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -9, killed
    assert count(clients, "jobs") == 1
    assert there(clients) == {*names, kept}
    # What is younger than a day might be of somebody who is about to name it.
    assert clean_up(clients)["objects"]["deleted"] == 0
    for name in names:
        then = time.time() - 2 * 86_400
        os.utime(tmp_path / "objects" / name, (then, then))
    assert clean_up(clients)["objects"]["deleted"] == 3
    assert there(clients) == {kept}


def test_nobody_waits_for_a_clean_up_of_thousands_of_rows(
    clients: Runtime, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long form, of a million rows: make soak ARGS="--only cleanup"."""
    url, rows = servers.new_database(), 3_000
    for name, value in {**KEPT, "DATABASE_URL": url}.items():
        monkeypatch.setenv(name, value)
    fill_with_old(url, rows)
    trial = clean_beside_jobs(url)
    assert trial.wrong == []
    assert trial.result["rows"]["jobs"] > rows / 2
    assert trial.result["rows"]["unfinished_jobs"] > rows / 100
    assert trial.linked > 0
