"""`pixmill dead-letters` as a person types it, on a real database."""

import getpass
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from pixmill.cli import app
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter, Job
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import dead_letters, jobs
from pixmill_shared.repositories.dead_letters import RefusedItem

ERROR = {"code": "source_timeout", "title": "t", "detail": "The source took too long.", "retryable": True}
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters CASCADE"))
    yield database
    database.dispose()


@pytest.fixture
def pixmill(database: Database) -> Command:
    """In this process: starting another one costs a second of CPU each time."""

    def run(*arguments: str, answer: str = "", url: str = database.url) -> "subprocess.CompletedProcess[str]":
        environ = {"PIXMILL_ENV": "test", "DATABASE_URL": url}
        done = CliRunner().invoke(app, ["dead-letters", *arguments], input=answer, env=environ)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def letter(database: Database, project: str = "acme", age: str = "0 s") -> uuid.UUID:
    """Of a job that failed."""
    with database.session_scope() as session:
        job_id = jobs.insert(
            session,
            jobs.NewJob(
                project=project,
                stage=Stage.FETCH,
                queue=QueueName.FETCH,
                priority=1,
                source={"url": "https://example.com/a.jpg"},
                recipe={"outputs": []},
            ),
        )
        claimed = jobs.claim(session, job_id, Stage.FETCH, "worker", 60)
        assert claimed is not None
        assert jobs.fail(session, job_id, claimed.fence, ERROR)
        payload, task = {"job_id": str(job_id)}, TaskName.FETCH_SOURCE
        dead_letters.bury(
            session, project=project, task=task, payload=payload, error=ERROR, attempts=3, traceback="Traceback: here"
        )
        session.flush()
        found = session.scalars(select(DeadLetter).order_by(DeadLetter.id.desc())).first()
        assert found is not None
        session.execute(text(f"UPDATE dead_letters SET created_at = now() - interval '{age}' WHERE id = '{found.id}'"))
        return found.id


def junk(database: Database, words: str = "junk") -> uuid.UUID:
    item = RefusedItem(new_id(), "unknown", {"text": words}, {"code": "malformed_item", "detail": words})
    with database.session_scope() as session:
        dead_letters.keep_refused(session, item)
    return item.id


def replayed(database: Database) -> dict[uuid.UUID, tuple[str | None, uuid.UUID | None]]:
    with database.session_scope() as session:
        found = session.scalars(select(DeadLetter).where(DeadLetter.replayed_at.is_not(None))).all()
        return {each.id: (each.replayed_by, each.replayed_as) for each in found}


def test_list_shows_all_projects_newest_first_and_filters(database: Database, pixmill: Command) -> None:
    old, ours, theirs, nobodys = (
        letter(database, age="3 d"),
        letter(database),
        letter(database, "other"),
        junk(database),
    )
    done = pixmill("list")
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split()[0] == "id"
    assert [line.split()[0] for line in lines] == [str(each) for each in (nobodys, theirs, ours, old)]
    assert "fetch_source" in lines[2]
    assert "source_timeout The source took too long." in lines[2]

    def ids(*arguments: str) -> list[str]:
        return [each["dead_letter_id"] for each in json.loads(pixmill("list", "--json", *arguments).stdout)]

    assert ids("--project", "acme") == [str(ours), str(old)]
    assert ids("--task", "fetch_source", "--since", "2h") == [str(theirs), str(ours)]
    assert ids("--until", "1d") == [str(old)]
    assert ids("--task", "unknown", "--not-replayed") == [str(nobodys)]
    assert ids("--replayed") == []
    some = pixmill("list", "--limit", "3")
    assert f"--before {ours}" in some.stderr
    assert ids("--before", str(ours)) == [str(old)]


def test_list_of_nothing_says_so(database: Database, pixmill: Command) -> None:
    assert pixmill("list").stdout == "No dead letters.\n"


def test_show_tells_everything_and_what_came_in_cannot_drive_the_terminal(database: Database, pixmill: Command) -> None:
    found = pixmill("show", str(letter(database))).stdout
    assert "Traceback: here" in found
    assert "source_timeout" in found
    evil = junk(database, "\x1b[2Jgone\u202e")
    for done in (pixmill("show", str(evil)), pixmill("list")):
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout
        assert "\\x1b[2Jgone" in done.stdout
    assert json.loads(pixmill("show", "--json", str(evil)).stdout)["payload"] == {"text": "\x1b[2Jgone\u202e"}


def test_replay_of_one_makes_a_job_and_says_who_asked(database: Database, pixmill: Command) -> None:
    chosen = letter(database)
    done = pixmill("replay", str(chosen))
    assert (done.returncode, done.stderr) == (0, "")
    ((by, made),) = replayed(database).values()
    assert by == f"cli {getpass.getuser()}@{socket.gethostname()}"
    assert done.stdout == f"Replayed as job {made}.\n"
    with database.session_scope() as session:
        assert session.get_one(Job, made).status == "queued"
    again = pixmill("replay", str(chosen))
    assert again.returncode == 1
    assert f"replayed already, as job {made}" in again.stderr
    assert "Traceback" not in again.stderr


def test_replay_of_many_asks_with_their_number_and_no_is_no(database: Database, pixmill: Command) -> None:
    old, ours = letter(database, age="3 d"), [letter(database) for _ in range(3)]
    junk(database)
    many = ("replay", "--task", "fetch_source", "--since", "1d")
    refused = pixmill(*many, answer="n\n")
    assert "Replay 3 dead letters of pixmill_imaging.tasks.fetch.fetch_source?" in refused.stdout
    assert (refused.returncode, replayed(database)) == (1, {})
    assert pixmill(*many).returncode == 1
    assert replayed(database) == {}
    some = pixmill(*many, "--limit", "2", answer="y\n")
    assert "the oldest 2 of more than 2" in some.stdout
    assert some.stdout.endswith("Replayed 2. More are left: run it again.\n")
    assert pixmill(*many, "--yes").stdout == "Replayed 1.\n"
    assert pixmill(*many, "--yes").stdout == "No dead letters to replay.\n"
    assert set(replayed(database)) == set(ours)
    assert pixmill("replay", "--task", "fetch_source", "--since", "30d", "--project", "acme", "-y").returncode == 0
    assert old in replayed(database)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["replay"], "takes an ID, or --task and --since"),
        (["replay", "--task", "render_job"], "takes an ID, or --task and --since"),
        (["replay", "--task", "unknown", "--since", "1d"], "--task must be one of fetch_source, render_job"),
        (["replay", "x"], "must be the id of a dead letter"),
        (["replay", "01890a5d-ac96-774b-bcce-b302099a8057"], "there is no dead letter 01890a5d"),
        (["replay", "01890a5d-ac96-774b-bcce-b302099a8057", "--since", "1d"], "goes without --project"),
        (["show", "01890a5d-ac96-774b-bcce-b302099a8057"], "there is no dead letter 01890a5d"),
        (["list", "--since", "yesterday"], "--since takes a time like 2h"),
        (["list", "--since", "999999d"], "--since takes a time like 2h"),
        (["list", "--before", "x"], "must be the id of a dead letter"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(
    database: Database, pixmill: Command, arguments: list[str], sentence: str
) -> None:
    done = pixmill(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_item_of_the_broker_is_not_replayed(database: Database, pixmill: Command) -> None:
    done = pixmill("replay", str(junk(database)))
    assert done.returncode == 1
    assert "came from the broker and tells of no row" in done.stderr
    assert replayed(database) == {}


def test_as_a_process_it_says_that_the_database_does_not_answer() -> None:
    environ = {"PATH": os.environ.get("PATH", ""), "PIXMILL_ENV": "test"}
    done = subprocess.run(
        [sys.executable, "-m", "pixmill", "dead-letters", "list"],
        env={**environ, "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "the database does not answer" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
