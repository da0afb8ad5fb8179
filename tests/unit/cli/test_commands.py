"""The subcommands are imported when they are used, and every one that is named is there."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from pixmill.cli import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f" {name} [OPTIONS]" in result.output


def test_all_commands_are_listed() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    assert all(name in listed for name in COMMANDS)


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(app, ["nope"])
    assert (result.exit_code, "No such command" in result.output) == (2, True)


def test_up_waits_for_no_library_that_it_does_not_need() -> None:
    script = "import sys, pixmill.commands.up; print(*({'sqlalchemy', 'httpx', 'celery', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
