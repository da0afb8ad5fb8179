"""`pixmill up` and `pixmill env` as a person types them, where they refuse or need no running stack."""

import io
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pixmill.local import privileges
from pixmill.local.ports import PortPlan
from pixmill.local.stack import LocalStack

ENVIRON = {"PATH": os.environ.get("PATH", "")}


def pixmill(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pixmill", *arguments]
    return subprocess.run(argv, env={**ENVIRON, **environ}, capture_output=True, text=True, timeout=150, check=False)


def test_a_taken_port_ends_up_with_a_message_that_names_it(place: Path) -> None:
    plan = PortPlan.free()
    with socket.create_server(("127.0.0.1", plan.worker)):
        done = pixmill("up", "--data-dir", str(place / "data"), "--port", str(plan.api))
    assert done.returncode == 1
    assert f"port {plan.worker} (worker)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "data" / "postgres").exists()


def test_a_directory_that_cannot_be_written_ends_up_with_a_message(place: Path) -> None:
    (place / "file").touch()
    done = pixmill("up", "--data-dir", str(place / "file" / "data"), "--port", str(PortPlan.free().api))
    assert (done.returncode, "Cannot write to the data directory" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_a_directory_in_use_ends_up_with_a_message(place: Path) -> None:
    with LocalStack(place / "data", environ={}, log=io.StringIO(), servers_only=True):
        done = pixmill("up", "--data-dir", str(place / "data"), "--port", str(PortPlan.free().api))
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr


def test_env_before_any_stack_says_so_without_a_home() -> None:
    done = pixmill("env", XDG_DATA_HOME="/nonexistent")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no stack has run on /nonexistent/pixmill" in done.stderr


def test_env_gives_another_shell_the_variables_even_with_quotes_in_them(place: Path) -> None:
    given = {"CELERY_TIMEZONE": "Europe/Berlin", "PIXMILL_PUBLIC_URL": "http://it's'; echo oops; '"}
    data = str(place / "data")
    with LocalStack(Path(data), environ=given, log=io.StringIO(), servers_only=True) as stack:
        done = pixmill("env", "--data-dir", data)
        assert done.stderr == ""
    script = 'eval "$1"; printf "%s|%s|%s" "$DATABASE_URL" "$CELERY_TIMEZONE" "$PIXMILL_PUBLIC_URL"'
    shown = subprocess.run(["sh", "-c", script, "sh", done.stdout], capture_output=True, text=True, check=True)
    assert shown.stdout == "|".join([stack.environment["DATABASE_URL"], *given.values()])
    afterwards = pixmill("env", "--data-dir", data)
    assert (afterwards.returncode, afterwards.stdout) == (0, done.stdout)
    assert "is not running now" in afterwards.stderr


@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("setpriv"), reason="becomes a normal user, which takes root and setpriv"
)
def test_a_normal_user_without_a_home_starts_servers_of_its_own(place: Path) -> None:
    python = f"/usr/bin/python3.{sys.version_info.minor}"  # this one may be below a directory of root's
    if not Path(python).exists():
        pytest.skip(f"no {python}, which another user could run")
    script = """
import io, os, sys
from pathlib import Path
from pixmill.local.stack import LocalStack
with LocalStack(Path(sys.argv[1]), environ={}, log=io.StringIO(), servers_only=True) as stack:
    print(*(Path(f"/proc/{pid}").stat().st_uid == os.getuid() for pid in stack.pids().values()))
"""
    (place / "mine").mkdir()
    nobody = privileges.server_user()
    assert nobody is not None
    os.chown(place / "mine", nobody.uid, nobody.gid)
    argv = [
        "setpriv",
        f"--reuid={nobody.uid}",
        f"--regid={nobody.gid}",
        "--clear-groups",
        python,
        "-c",
        script,
        str(place / "mine/data"),
    ]
    environ = {**ENVIRON, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, env=environ, cwd="/", capture_output=True, text=True, timeout=150, check=False)
    assert (done.stdout, done.returncode) == ("True True\n", 0), done.stderr
