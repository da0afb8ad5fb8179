"""`pixmill keys` as a person types it, on a real database."""

import getpass
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from pixmill.cli import app
from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import check_key

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE api_keys, audit CASCADE"))
    yield database
    database.dispose()


@pytest.fixture
def keys(database: Database) -> Command:
    """In this process: starting another one costs a second of CPU each time."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PIXMILL_ENV": "test", "DATABASE_URL": database.url, "PIXMILL_SECRET_KEY": "x" * 32}
        done = CliRunner().invoke(app, ["keys", *arguments], env=environ)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def token_of(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("key "))
    return line.split()[1]


def listed(keys: Command) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(keys("list", "--json").stdout)
    return found


def usable(database: Database, token: str) -> bool:
    with database.session_scope() as session:
        return check_key(session, token) is not None


def test_key_reads_and_writes_unless_something_else_is_said(keys: Command, database: Database) -> None:
    token = token_of(keys("create"))
    assert usable(database, token)
    (key,) = listed(keys)
    assert (key["project"], key["scopes"]) == ("default", ["jobs:read", "jobs:write"])
    assert (key["presets_only"], key["rate_limit"], key["max_unfinished"], key["expires_at"]) == (
        False,
        None,
        None,
        None,
    )
    assert token.startswith(key["prefix"])


@pytest.mark.parametrize(
    ("options", "scopes"),
    [
        (["--admin"], ["admin"]),
        (["--scope", "jobs:read"], ["jobs:read"]),
        (["--scope", "jobs:write", "--scope", "jobs:read"], ["jobs:read", "jobs:write"]),
        (["--scope", "jobs:read", "--admin"], ["jobs:read", "admin"]),
    ],
)
def test_scopes_are_those_that_were_named(keys: Command, options: list[str], scopes: list[str]) -> None:
    token_of(keys("create", *options))
    assert [key["scopes"] for key in listed(keys)] == [scopes]


def test_limits_and_end_are_kept_and_listed(keys: Command, database: Database) -> None:
    options = ["--project", "shop", "--name", "till", "--presets-only", "--rate-limit", "60"]
    token_of(keys("create", *options, "--max-unfinished", "5", "--expires-in", "30"))
    (key,) = listed(keys)
    assert (key["project"], key["name"], key["presets_only"]) == ("shop", "till", True)
    assert (key["rate_limit"], key["max_unfinished"]) == (60, 5)
    with database.session_scope() as session:
        days = session.scalar(text("SELECT extract(epoch FROM expires_at - created_at)::float8 / 86400 FROM api_keys"))
    assert days == pytest.approx(30, abs=0.01)
    line = keys("list").stdout.splitlines()[1]
    for told in (key["prefix"], "shop", "till", "presets only, 60/min, 5 jobs", key["expires_at"][:10]):
        assert told in line


@pytest.mark.parametrize(
    "options",
    [
        *(["--scope", "everything"], ["--rate-limit", "-1"], ["--max-unfinished", "x"], ["--expires-in", "0"]),
        *(["--project", ""], ["--name", "a\nb"], ["--name", "a" * 101]),
    ],
    ids=lambda options: f"{options[0]}={options[1][:10]!r}",
)
def test_wrong_option_is_told_and_makes_nothing(keys: Command, options: list[str]) -> None:
    done = keys("create", *options)
    assert done.returncode != 0
    assert options[0] in done.stderr
    assert listed(keys) == []


@pytest.mark.parametrize("named_by", ["key_id", "prefix"])
def test_revoked_key_opens_nothing(keys: Command, database: Database, named_by: str) -> None:
    first, second = token_of(keys("create")), token_of(keys("create"))
    which = next(key for key in listed(keys) if first.startswith(key["prefix"]))
    assert keys("revoke", which[named_by]).stdout == f"{which['prefix']} was revoked now.\n"
    assert keys("revoke", which[named_by]).stdout == f"{which['prefix']} was revoked already.\n"
    assert (usable(database, first), usable(database, second)) == (False, True)


@pytest.mark.parametrize("command", ["revoke", "rotate-secret"])
@pytest.mark.parametrize("which", ["nobody", "00000000-0000-0000-0000-000000000000", "a\x1bb"], ids=repr)
def test_key_that_is_not_there_is_told(keys: Command, command: str, which: str) -> None:
    done = keys(command, which)
    assert done.returncode == 1
    assert "there is no key" in done.stderr
    assert "\x1b" not in done.stderr


def test_new_secret_is_shown_once_and_not_exchanged_again_within_the_grace(keys: Command) -> None:
    made = keys("create")
    (key,) = listed(keys)
    rotated = keys("rotate-secret", key["prefix"])
    assert rotated.stdout.split()[2].startswith("whsec_")
    assert rotated.stdout.split()[2] not in made.stdout
    again = keys("rotate-secret", key["prefix"])
    assert (again.returncode, again.stdout) == (1, "")
    assert "Wait until then" in again.stderr


def test_all_that_is_done_is_in_the_audit_with_user_and_machine(keys: Command, database: Database) -> None:
    token_of(keys("create", "--project", "shop"))
    (key,) = listed(keys)
    keys("rotate-secret", key["prefix"])
    keys("revoke", key["prefix"])
    with database.session_scope() as session:
        rows = session.execute(text("SELECT action, actor, project, target FROM audit ORDER BY id")).all()
    who = (f"cli {getpass.getuser()}@{socket.gethostname()}", "shop", key["key_id"])
    assert [tuple(row) for row in rows] == [(action, *who) for action in ("key.created", "key.rotated", "key.revoked")]


def test_list_goes_on_where_it_was_cut(keys: Command) -> None:
    for _ in range(3):
        token_of(keys("create"))
    first = keys("list", "--limit", "2")
    assert len(first.stdout.splitlines()) == 3
    before = first.stderr.split("--before ")[1].strip()
    assert len(keys("list", "--before", before).stdout.splitlines()) == 2
    assert keys("list", "--project", "nobodys").stdout == "No keys.\n"
