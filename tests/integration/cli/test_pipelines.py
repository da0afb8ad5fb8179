"""`pixmill pipelines` as a person types it, on a real database; the worker is in the test's own process."""

import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, text
from tests.integration.imaging.looking import Watch
from tests.waiting import eventually
from typer.testing import CliRunner

from pixmill.cli import app
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import AuditRecord, PipelineRun, TaskRequest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
URLS = {"type": "urls", "urls": ["https://x.example/1.jpg", "https://x.example/2.jpg"]}


@pytest.fixture
def watch(postgres_url: str) -> Iterator[Watch]:
    database = Database(postgres_url, pool_size=3)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE pipelines, jobs, task_requests, audit CASCADE"))
    yield Watch(database)
    database.dispose()


@pytest.fixture
def pixmill(watch: Watch) -> Command:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PIXMILL_ENV": "test", "DATABASE_URL": watch.database.url}
        done = CliRunner().invoke(app, ["pipelines", *arguments], env=environ)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def _working(watch: Watch) -> threading.Thread:
    """A worker that looks once a run is asked for."""

    def work() -> None:
        eventually(lambda: _asked(watch), within=60)
        watch.check()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _asked(watch: Watch) -> bool:
    with watch.database.session_scope() as session:
        return session.scalar(select(PipelineRun.id)) is not None


@pytest.mark.parametrize(
    ("option", "said", "jobs"),
    [
        ((), "2 found, 2 became jobs, 0 skipped.\n", 2),
        (("--dry-run",), "2 found, 2 would become jobs, 0 skipped.\n", 0),
    ],
    ids=["run", "dry run"],
)
def test_run_waits_for_the_end_and_says_what_was_found(
    watch: Watch, pixmill: Command, option: tuple[str, ...], said: str, jobs: int
) -> None:
    made = watch.make(URLS, paused_at=text("now()"))
    worker = _working(watch)
    done = pixmill("run", str(made), "--timeout", "60", *option)
    worker.join(30)
    assert (done.returncode, said in done.stdout) == (0, True), (done.stdout, done.stderr)
    assert len(watch.jobs(made)) == jobs
    with watch.database.session_scope() as session:
        (request,) = session.scalars(select(TaskRequest))
    assert (request.queue, request.turn) == ("fetch", 1)


def test_pause_and_resume_are_shown_and_written_down(watch: Watch, pixmill: Command) -> None:
    made = watch.make(URLS)
    assert pixmill("pause", str(made)).returncode == 0
    assert " paused " in pixmill("list").stdout
    assert watch.check()["runs"] == 0
    assert "It looks next at" in pixmill("resume", str(made)).stdout
    assert " paused " not in pixmill("list").stdout
    with watch.database.session_scope() as session:
        assert [row.action for row in session.scalars(select(AuditRecord))] == ["pipeline.changed"] * 2


def test_unknown_pipeline_is_told(pixmill: Command) -> None:
    assert pixmill("run", str(uuid.uuid4())).returncode == 1
    assert pixmill("pause", "nonsense").returncode != 0
    assert pixmill("list").stdout == "No pipelines.\n"
