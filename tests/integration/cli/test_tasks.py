"""`pixmill tasks` as a person types it, on a real database. No worker runs: what one does is written as it would."""

import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, text
from tests.integration.shared.processes import wait_until
from typer.testing import CliRunner

from pixmill.cli import app
from pixmill_shared.contract.requests import BUILD_ARCHIVE
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import AuditRecord, TaskRequest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=2)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE task_requests, audit"))
    yield database
    database.dispose()


@pytest.fixture
def pixmill(database: Database) -> Command:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PIXMILL_ENV": "test", "DATABASE_URL": database.url}
        done = CliRunner().invoke(app, ["tasks", *arguments], env=environ)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def rows(database: Database) -> list[TaskRequest]:
    with database.session_scope() as session:
        return list(session.scalars(select(TaskRequest).order_by(TaskRequest.id)))


def end(database: Database, status: str, result: str, error: str) -> None:
    """As a worker, once there is a task."""
    wait_until(lambda: rows(database), 60, "the task")
    with database.session_scope() as session:
        session.execute(
            text("UPDATE task_requests SET status = :status, finished_at = now(), result = :result, error = :error"),
            {"status": status, "result": result, "error": error},
        )


def test_task_that_is_run_is_a_row_and_is_in_the_audit(pixmill: Command, database: Database) -> None:
    done = pixmill("run", "cleanup_old_data", "--high")
    assert done.returncode == 0, done.stderr
    (row,) = rows(database)
    assert done.stdout.strip() == str(row.id)
    assert (row.task.rpartition(".")[2], row.priority, row.queue) == ("cleanup_old_data", 0, "maintenance")
    with database.session_scope() as session:
        record = session.scalars(select(AuditRecord)).one()
    assert (record.action, record.target, record.actor) == ("task.started", row.task, row.requested_by)


def test_arguments_are_checked_as_over_http(pixmill: Command, database: Database) -> None:
    job_id = str(uuid.uuid4())
    assert pixmill("run", "build_zip", "--arg", f"job_id={job_id}").returncode == 0
    (row,) = rows(database)
    assert (row.task, row.payload) == (BUILD_ARCHIVE.task, {"job_id": job_id})
    for arguments in (
        ["nothing"],
        ["build_zip"],
        ["build_zip", "--arg", "job_id"],
        ["cleanup_old_data", "--arg", "a=1"],
    ):
        assert pixmill("run", *arguments).returncode == 1, arguments
    assert len(rows(database)) == 1


@pytest.mark.parametrize(
    ("status", "result", "error", "code", "told"),
    [
        ("completed", '{"deleted": 3}', "null", 0, '"deleted": 3'),
        ("failed", "null", '{"code": "time_limit", "detail": "It took too long."}', 1, "It took too long."),
    ],
    ids=["completed", "failed"],
)
def test_whoever_waits_is_told_how_it_ended(
    pixmill: Command, database: Database, status: str, result: str, error: str, code: int, told: str
) -> None:
    worker = threading.Thread(target=end, args=(database, status, result, error))
    worker.start()
    done = pixmill("run", "expire_unfinished", "--wait", "--timeout", "60")
    worker.join()
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def test_nobody_waits_for_ever(pixmill: Command) -> None:
    done = pixmill("run", "expire_unfinished", "--wait", "--timeout", "0.3")
    assert done.returncode == 1
    assert "has not ended" in done.stderr


def test_list_shows_the_newest_first(pixmill: Command, database: Database) -> None:
    assert "No tasks." in pixmill("list").stdout
    made = [pixmill("run", name).stdout.strip() for name in ("record_heartbeat", "cleanup_old_data")]
    lines = pixmill("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == made[::-1]
    assert [task["task_id"] for task in json.loads(pixmill("list", "--json", "--limit", "1").stdout)] == made[1:]
    assert pixmill("list", "--status", "failed").stdout.strip() == "No tasks."
    assert pixmill("list", "--status", "gone").returncode == 1
