"""`pixmill workers` as a person types it, on a real database."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from pixmill.cli import app
from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import workers
from pixmill_shared.repositories.workers import FORGET_AFTER, STALE_AFTER, Seen

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SIZED = Seen("imaging@here", "imaging@here:1:a", ["imaging"], "prefork", 4, 3, 1234, 500_000_000, 2, 10, "backlog")
FIXED = Seen("notifier@here", "notifier@here:2:b", ["notifier"], "threads", 8, 0, 5, 90_000_000)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE workers"))
    yield database
    database.dispose()


@pytest.fixture
def pixmill(database: Database) -> Command:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PIXMILL_ENV": "test", "DATABASE_URL": database.url}
        done = CliRunner().invoke(app, ["workers", *arguments], env=environ)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def renew(database: Database, seen: Seen) -> tuple[int | None, int | None]:
    with database.session_scope() as session:
        return workers.renew(session, seen)


def silence(database: Database, name: str, seconds: int) -> None:
    with database.session_scope() as session:
        session.execute(
            text("UPDATE workers SET seen_at = now() - make_interval(secs => :s) WHERE name = :n"),
            {"s": seconds, "n": name},
        )


def test_list_says_who_works_and_who_is_stale(database: Database, pixmill: Command) -> None:
    renew(database, SIZED)
    renew(database, FIXED)
    silence(database, FIXED.name, STALE_AFTER + 1)
    heading, first, second = pixmill().stdout.splitlines()
    assert heading.split() == ["worker", "state", "pool", "busy", "bounds", "because", "tasks", "memory", "queues"]
    assert first.split() == [
        "imaging@here",
        "alive",
        "prefork",
        "3/4",
        "2-10",
        "backlog",
        "1234",
        "500",
        "MB",
        "imaging",
    ]
    assert second.split() == ["notifier@here", "stale", "threads", "0/8", "fixed", "-", "5", "90", "MB", "notifier"]


def test_bounds_are_told_to_the_worker_and_stay_when_it_starts_again(database: Database, pixmill: Command) -> None:
    assert renew(database, SIZED) == (None, None)
    assert pixmill("scale", SIZED.name, "--min", "3", "--max", "5").returncode == 0
    assert renew(database, SIZED) == (3, 5)
    assert "(by hand)" in pixmill().stdout
    with database.session_scope() as session:
        workers.leave(session, SIZED.name, SIZED.instance)
    assert "stale" in pixmill().stdout
    assert renew(database, SIZED) == (3, 5)
    assert pixmill("scale", SIZED.name).returncode == 0
    assert renew(database, SIZED) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("scale", "nobody@here", "--max", "3"), "is of no worker that sizes itself"),
        (("scale", FIXED.name, "--max", "3"), "is of no worker that sizes itself"),
        (("scale", SIZED.name, "--min", "5", "--max", "4"), "is above --max; give 4 or less"),
    ],
    ids=["nobody", "fixed size", "wrong order"],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    database: Database, pixmill: Command, arguments: tuple[str, ...], says: str
) -> None:
    renew(database, SIZED)
    renew(database, FIXED)
    done = pixmill(*arguments)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert renew(database, SIZED) == renew(database, FIXED) == (None, None)


def test_worker_that_has_been_silent_for_long_is_forgotten(database: Database, pixmill: Command) -> None:
    renew(database, FIXED)
    silence(database, FIXED.name, FORGET_AFTER + 1)
    renew(database, SIZED)
    assert FIXED.name not in pixmill().stdout


def test_leaving_takes_away_the_own_row_only(database: Database, pixmill: Command) -> None:
    renew(database, SIZED)
    with database.session_scope() as session:
        workers.leave(session, SIZED.name, "imaging@here:9:of another start")
    assert SIZED.name in pixmill().stdout
    with database.session_scope() as session:
        workers.leave(session, SIZED.name, SIZED.instance)
    assert SIZED.name not in pixmill().stdout
