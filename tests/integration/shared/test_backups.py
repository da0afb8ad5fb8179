"""The database into the storage and back again, by Postgres' own programs: all rows, or a sentence that says why."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from sqlalchemy import text
from tests.integration.shared.processes import Fleet, environment_of, wait_until
from tests.integration.shared.test_sweeping import send
from tests.plans.filling import fill
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.client_tools import ClientToolError, find_tool
from pixmill_shared.domain.backups import Manifest, manifest_name
from pixmill_shared.runtime import Runtime
from pixmill_shared.service import restoring
from pixmill_shared.service.backing_up import back_up
from pixmill_shared.service.restoring import RestoreRefused
from pixmill_shared.settings.database import normalise_url
from pixmill_shared.storage import StorageUnavailable

MAJOR = 18


@pytest.fixture
def environment(postgres_url: str, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = environment_of(servers.stack.environment, postgres_url, tmp_path)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def clients(environment: dict[str, str]) -> Iterator[Runtime]:
    clients = Runtime()
    run(clients, "TRUNCATE backups")
    yield clients
    clients.database.dispose()


def run(clients: Runtime, sql: str, **values: object) -> list[Any]:
    with clients.database.session_scope() as session:
        result = session.execute(text(sql), values)
        return [tuple(row) for row in result] if result.returns_rows else []


def as_superuser(servers: Servers, *statements: str) -> None:
    connection = psycopg2.connect(**servers.stack.database.connection_parameters("postgres"))
    connection.autocommit = True
    try:
        for statement in statements:
            connection.cursor().execute(statement)
    finally:
        connection.close()


def empty_database(servers: Servers) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    as_superuser(servers, f"CREATE DATABASE {name} OWNER migrate")
    yield normalise_url(urlsplit(servers.stack.database.migrate_url)._replace(path=f"/{name}").geturl())
    as_superuser(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty(servers: Servers) -> Iterator[str]:
    yield from empty_database(servers)


def pixmill(environment: dict[str, str], *argv: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pixmill", *argv]
    return subprocess.run(
        command, env={**environment, **changes}, capture_output=True, text=True, timeout=120, check=False
    )


def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table, as text, and every sequence."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
            found = {}
            for (table,) in cursor.fetchall():
                cursor.execute(f'SELECT row_to_json(t)::text FROM public."{table}" t')
                found[table] = sorted(row[0] for row in cursor.fetchall())
            return found
    finally:
        connection.close()


def rows(url: str, sql: str) -> list[Any]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


WRAPPER = """#!/bin/sh
tr '\\0' '\\n' < /proc/$$/cmdline >> {seen}
exec {real} "$@"
"""


def test_database_is_backed_up_dropped_and_restored_with_every_row(
    servers: Servers, environment: dict[str, str], tmp_path: Path
) -> None:
    url = servers.new_database()
    fill(url, 300)
    tools, seen = tmp_path / "tools", tmp_path / "seen"
    tools.mkdir()
    for name in ("pg_dump", "pg_restore"):
        tool = tools / name
        tool.write_text(WRAPPER.format(seen=seen, real=find_tool(name, MAJOR)))
        tool.chmod(0o755)
    environment |= {"DATABASE_URL": url, "PIXMILL_PG_DUMP": str(tools / "pg_dump")}
    done = pixmill(environment, "backup")
    assert done.returncode == 0, done
    key = done.stdout.split()[0]
    before = contents(url)
    assert len(before) > 25
    assert sum(len(found) for found in before.values()) > 1_500
    name, password = urlsplit(url).path[1:], urlsplit(url).password
    as_superuser(servers, f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name} OWNER migrate")
    listed = pixmill(environment, "backups")
    assert listed.stdout.startswith(f"{key}  2"), listed
    restored = pixmill(environment, "restore", "--backup", key, PIXMILL_MIGRATE_DATABASE_URL=url)
    assert (restored.returncode, restored.stdout.splitlines()[0][:9]) == (0, "Restored "), restored
    after = contents(url)
    assert after.keys() == before.keys()
    assert [table for table in before if before[table] != after[table]] == []
    # Whoever lists processes, or reads logs, learns no password.
    said = seen.read_text() + "".join(each.stdout + each.stderr for each in (done, listed, restored))
    assert "--format=custom" in said
    assert password
    assert password not in said
    # And it is a database that pixmill works with: the indexes are there too.
    assert rows(url, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'")[0][0] > 60
    assert pixmill(environment, "migrate").returncode == 0


def test_backup_is_restored_into_an_empty_database_only(
    clients: Runtime, environment: dict[str, str], empty: str
) -> None:
    back_up(clients)
    assert rows(empty, "CREATE TABLE mine AS SELECT 1 AS n; SELECT n FROM mine") == [(1,)]
    refused = pixmill(environment, "restore", PIXMILL_MIGRATE_DATABASE_URL=empty)
    assert refused.returncode == 1
    assert "is not empty: it has 1 tables" in refused.stderr
    assert list(contents(empty)) == ["mine"]


def test_backups_that_the_restored_one_does_not_know_are_rows_again(
    clients: Runtime, environment: dict[str, str], empty: str
) -> None:
    made = [back_up(clients)["key"] for _ in range(3)]
    restoring.restore(clients.store, empty, restoring.find(clients.store, made[1]))
    columns = "status, key, bytes, sha256, started_at, finished_at FROM backups ORDER BY key"
    assert rows(empty, f"SELECT {columns}") == run(clients, f"SELECT {columns}")
    assert [row[1] for row in rows(empty, f"SELECT {columns}")] == made


def test_damaged_backup_is_refused_and_nothing_is_changed(clients: Runtime, empty: str, tmp_path: Path) -> None:
    made, store = back_up(clients), clients.store
    manifest, dump = restoring.find(store, None), tmp_path / "objects" / made["key"]
    whole = dump.read_bytes()
    for damaged in (whole[:-1], whole[:100] + b"X" + whole[101:]):
        dump.write_bytes(damaged)
        with pytest.raises(RestoreRefused, match="is damaged: its checksum"):
            restoring.restore(store, empty, manifest)
    dump.unlink()
    with pytest.raises(RestoreRefused, match="has no dump in the storage"):
        restoring.restore(store, empty, manifest)
    (tmp_path / "objects" / manifest_name(made["key"])).write_text("{}")
    assert restoring.available(store) == []
    for key in (None, made["key"], "backups/other.dump", "../x"):
        with pytest.raises(RestoreRefused):
            restoring.find(store, key)
    assert contents(empty) == {}


def fake_tool(directory: Path, version: str, does: str) -> str:
    tool = directory / "pg_dump"
    tool.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) {version}" && exit\n{does}\n')
    tool.chmod(0o755)
    return str(tool)


@pytest.mark.parametrize(
    ("version", "does", "said"),
    [
        ("15.18", "exit", "Pg_dump is of version 15, the server of 18. Install the client programs of PostgreSQL 18"),
        ("", "exit", "There is no pg_dump. Install"),
        (
            f"{MAJOR}.1",
            "echo half; echo 'pg_dump: no luck' >&2; exit 3",
            "ended with 3: pg_dump: no luck",
        ),
    ],
    ids=["another version", "no program", "fails in its midst"],
)
def test_backup_that_fails_says_why_and_leaves_no_object(
    clients: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, does: str, said: str
) -> None:
    monkeypatch.setenv("PIXMILL_PG_DUMP", fake_tool(tmp_path, version, does))
    with pytest.raises(ClientToolError, match=said):
        back_up(clients)
    ((status, error, bytes_),) = run(clients, "SELECT status, error, bytes FROM backups")
    assert (status, bytes_) == ("failed", None)
    assert said in error
    assert list(clients.store.list("")) == []


def test_storage_that_is_away_ends_the_program_too(clients: Runtime, tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("no directory")
    with pytest.raises(StorageUnavailable):
        back_up(clients)
    assert run(clients, "SELECT status FROM backups") == [("failed",)]
    dumping = "datname = current_database() AND application_name = 'pg_dump'"
    wait_until(lambda: not run(clients, f"SELECT 1 FROM pg_stat_activity WHERE {dumping}"), 60, "its end")


KILL = """
from pixmill_shared.runtime import start_runtime
from pixmill_shared.service import restoring
from pixmill_shared.service.backing_up import back_up
from pixmill_shared.service.restoring import RestoreRefused
print(back_up(start_runtime()))
"""


@pytest.mark.parametrize(
    ("place", "then"),
    [("backup.dumped", "failed"), ("backup.written", "completed"), ("backup.completed", "completed")],
)
def test_what_a_killed_backup_left_is_a_backup_or_goes(
    clients: Runtime, environment: dict[str, str], tmp_path: Path, place: str, then: str
) -> None:
    failpoints = tmp_path / "failpoints"
    failpoints.mkdir()
    (failpoints / place).write_text('{"action": "kill"}')
    armed = {**environment, "PIXMILL_ENV": "test", "PIXMILL_FAILPOINTS": str(failpoints)}
    done = subprocess.run([sys.executable, "-c", KILL], env=armed, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9, done
    ((killed, key),) = run(clients, "SELECT id, key FROM backups")
    assert clients.store.exists(key)
    second = back_up(clients)
    statuses = dict(run(clients, "SELECT id, status FROM backups"))
    assert statuses.pop(killed) == then
    assert list(statuses.values()) == ["completed"]
    left = {second["key"], *([key] if then == "completed" else [])}
    assert {info.key for info in clients.store.list("backups")} == {*left, *map(manifest_name, left)}


def test_old_backups_go_but_for_the_last_three(clients: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [back_up(clients)["key"] for _ in range(4)]
    run(clients, "UPDATE backups SET finished_at = finished_at - interval '13 days'")
    assert back_up(clients)["removed"] == 0
    run(clients, "UPDATE backups SET finished_at = finished_at - interval '2 days'")
    run(
        clients,
        "INSERT INTO backups (id, status, finished_at) VALUES (gen_random_uuid(), 'failed', now() - interval '1 y')",
    )
    last = back_up(clients)
    assert last["removed"] == 4
    left = [row[0] for row in run(clients, "SELECT key FROM backups ORDER BY key")]
    assert left[-1] == last["key"]
    assert len(left) == 3
    assert left[0] == made[-1]
    assert {info.key for info in clients.store.list("backups")} == {*left, *map(manifest_name, left)}
    monkeypatch.setenv("PIXMILL_KEEP_BACKUPS", "0")
    run(clients, "UPDATE backups SET finished_at = finished_at - interval '900 days'")
    assert back_up(clients)["removed"] == 0


def test_backup_takes_no_memory_for_what_it_carries(clients: Runtime, tmp_path: Path) -> None:
    megabytes = 256
    tool = fake_tool(tmp_path, f"{MAJOR}.1", f"head -c {megabytes}m /dev/zero")
    # Not ru_maxrss, which a process has from the one that started it.
    code = KILL + "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    environment = {**os.environ, "PIXMILL_PG_DUMP": tool}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=120, check=True)
    assert int(done.stdout.split()[-2]) < 190 * 1024, "KiB"
    assert run(clients, "SELECT bytes FROM backups") == [(megabytes << 20,)]


def test_program_beside_the_one_that_is_named_is_used(tmp_path: Path) -> None:
    beside = tmp_path / "pg_restore"
    beside.write_text(f"#!/bin/sh\necho 'pg_restore (PostgreSQL) {MAJOR}.0'\n")
    beside.chmod(0o755)
    assert find_tool("pg_restore", MAJOR, str(tmp_path / "pg_dump")) == str(beside)
    with pytest.raises(ClientToolError, match="There is no pg_dump"):
        find_tool("pg_dump", MAJOR, str(tmp_path / "pg_dump"))
    with pytest.raises(ClientToolError, match="postgresql-client-99"):
        find_tool("pg_dump", 99)


def test_manifest_is_read_as_it_was_written(clients: Runtime) -> None:
    made = back_up(clients)
    document = clients.store.get(manifest_name(made["key"]))
    manifest = Manifest.parse(document)
    assert manifest.document() == document
    assert (manifest.bytes, manifest.sha256, manifest.postgres) == (made["bytes"], made["sha256"], MAJOR)
    assert json.loads(document)["revision"] == run(clients, "SELECT version_num FROM alembic_version")[0][0]
    assert run(clients, "SELECT status, bytes, sha256, key FROM backups") == [
        ("completed", made["bytes"], made["sha256"], made["key"])
    ]


def test_worker_backs_up_and_verifies_when_told_to(
    clients: Runtime, servers: Servers, environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    """In a child of a real worker, which then has a program of Postgres as its own child."""
    fleet = Fleet(tmp_path, environment)
    try:
        worker = fleet.worker("worker", "pixmill_api.celery_app", "-P", "prefork", "-c", "2", "-Q", "maintenance")
        worker.wait_ready(120)
        send(redis_url, TaskName.BACK_UP, QueueName.MAINTENANCE)
        done = "SELECT key FROM backups WHERE status = 'completed'"
        ((key,),) = wait_until(lambda: run(clients, done), 60, "the backup")
        succeeded = "pixmill_tasks_total", 'outcome="succeeded"'
        wait_until(lambda: worker.metric(*succeeded) == 1, 60, "its end")
        (tmp_path / "objects" / key).unlink()
        send(redis_url, TaskName.VERIFY_STORAGE, QueueName.MAINTENANCE)
        wait_until(lambda: worker.metric(*succeeded) == 2, 60, "the look at the storage")
    finally:
        fleet.stop()
    missing = "SELECT detail FROM alerts WHERE rule = 'objects_missing'"
    assert run(clients, missing) == [("Objects are missing that rows name: 1 of backups.",)]
    assert restoring.find(clients.store, None).key == key
