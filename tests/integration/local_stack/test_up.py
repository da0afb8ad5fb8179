"""`pixmill up`, all of it: started by its command, looked at from outside, ended in every way there is."""

import base64
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from tests.integration.local_stack.conftest import eventually, new_place
from tests.pids import is_alive

from pixmill.local.ports import PortPlan
from pixmill.local.stack import LocalStack

READY_SECONDS = 300  # generous: other tests may have the cores; how long it takes alone is printed

# Stacks, of which each takes its time on a busy machine.
pytestmark = pytest.mark.timeout(600)


@dataclass
class Up:
    """A running `pixmill up`; its output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path
    plan: PortPlan
    data: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.text
        return "pixmill is ready" in self.text

    def environment(self) -> dict[str, str]:
        argv = [sys.executable, "-m", "pixmill", "env", "--data-dir", str(self.data)]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        pairs = (line.removeprefix("export ").split("=", 1) for line in lines)
        return {name: value.strip("'") for name, value in pairs}


@contextmanager
def started(place: Path, plan: PortPlan | None = None, **environ: str) -> Iterator[Up]:
    plan = plan or PortPlan.free()
    data, log = place / "data", place / "log"
    argv = [sys.executable, "-m", "pixmill", "up", "--data-dir", str(data), "--port", str(plan.api)]
    given = {"PATH": os.environ["PATH"], "PIXMILL_IMAGING_CONCURRENCY": "1", **environ}
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=given, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        up = Up(process, log, plan, data)
        try:
            assert eventually(up.is_ready, READY_SECONDS), up.text
            print(f"ready after {time.monotonic() - began:.1f} s")
            yield up
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(150)
            finally:
                process.kill()


def family(pid: int) -> set[int]:
    """The process and all that descend from it."""
    found, waiting = set(), [pid]
    while waiting:
        current = waiting.pop()
        found.add(current)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(f"/proc/{current}/task"):
                waiting += map(int, told(current, f"task/{thread}/children").split())
    return found


def told(pid: int, what: str) -> bytes:
    """By the kernel of a process; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def get(url: str, authorization: str = "") -> int:
    """The status; 0 where no answer comes."""
    request = urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def all_answer(up: Up) -> bool:
    """Not at each moment: one that stood still says of itself that it is not ready, until it has looked again."""
    paths = {name: "/healthcheck" if name == "flower" else "/health/ready" for name, _ in up.plan.items()}
    return eventually(
        lambda: all(get(f"http://127.0.0.1:{port}{paths[name]}") == 200 for name, port in up.plan.items())
    )


def services(up: Up) -> dict[str, str]:
    """Their states, as the schedule's checks found them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{up.plan.api}/api/v1/services", timeout=60) as answer:
        return {each["service"]: each["status"] for each in json.load(answer)["data"]}


def check_services(up: Up) -> None:
    """Now: beat has it done when it starts, which may be long before the API is there, and then every five minutes."""
    url = f"http://127.0.0.1:{up.plan.api}/api/v1/tasks/health_check_all_services"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=60) as answer:
        assert answer.status == 202


def all_are_well(up: Up) -> bool:
    expected = {*dict(up.plan.items()), "database", "broker", "storage", "heartbeat"}
    found = services(up)
    return found.keys() == expected and set(found.values()) == {"healthy"}


def become_well(up: Up) -> bool:
    """By one check, which finds unhealthy what stands still at the moment."""
    check_services(up)
    return eventually(lambda: all_are_well(up), 30)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with (
        new_place() as directory,
        started(directory, CELERY_TIMEZONE="Europe/Berlin", BROKER_URL="amqp://nowhere") as up,
    ):
        yield up


def test_a_worker_that_is_killed_is_started_again_and_variables_of_the_user_reach_it(up: Up) -> None:
    assert "not passed on: BROKER_URL" in up.text
    children = family(up.process.pid)
    environs = {pid: told(pid, "environ").split(b"\0") for pid in children - {up.process.pid}}
    notifier = [pid for pid in children if b"notifier@%h" in told(pid, "cmdline")]
    assert b"CELERY_TIMEZONE=Europe/Berlin" in environs[notifier[0]]
    os.kill(notifier[0], signal.SIGKILL)
    assert eventually(lambda: "notifier is back" in up.text, 150), up.text
    assert "notifier died (SIGKILL): starting it again in 0.5 s" in up.text
    assert all_answer(up), up.text


def test_two_stacks_run_side_by_side_and_one_that_is_killed_leaves_no_process(place: Path, up: Up) -> None:
    with started(place) as one:
        running = family(one.process.pid)
        assert len(running) > 10
        one.process.kill()
        one.process.wait()
        assert eventually(lambda: not any(map(is_alive, running)))
        assert all_answer(up), up.text


def test_everything_answers_and_ctrl_c_leaves_nothing_but_the_data(up: Up) -> None:
    """The last of those that share the stack: it ends it."""
    assert all_answer(up), up.text
    assert any(become_well(up) for _ in range(4)), services(up)
    shown = re.search(r"login (\S+) / (\S+)", up.text)
    assert shown is not None
    flower = f"http://127.0.0.1:{up.plan.flower}/workers"
    login = base64.b64encode(f"{shown[1]}:{shown[2]}".encode()).decode()
    assert (get(flower), get(flower, f"Basic {login}")) == (401, 200)
    running = family(up.process.pid)
    commands = [told(pid, "cmdline").replace(b"\0", b" ").decode() for pid in running]
    for service in ("imaging", "notifier", "api"):
        worker = f"{Path(sys.executable).parent}/celery -A pixmill_{service}.celery_app worker"
        assert any(worker in command for command in commands), service
    secrets = [value for name, value in up.environment().items() if "SECRET" in name or "PASSWORD" in name]
    assert len(secrets) == 3
    assert not any(secret in command for secret in secrets for command in commands)
    connection = psycopg2.connect(up.environment()["PIXMILL_MIGRATE_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept_by_test (n int)")
    connection.close()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(200) == 0, up.text
    stops = re.findall(r"stopping (\S+)", up.text)
    assert (stops[0], stops[-2:]) == ("api", ["redis", "postgres"])
    assert "did not stop" not in up.text
    assert eventually(lambda: not any(map(is_alive, running)))
    environ = {"PATH": os.environ["PATH"]}
    with LocalStack(up.data, servers_only=True, environ=environ, log=io.StringIO()) as servers:
        connection = psycopg2.connect(servers.environment["DATABASE_URL"])
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM kept_by_test")
        connection.close()


@pytest.mark.parametrize("variables", [{"CELERY_TIMEZONE": "Nowhere/Never"}])
def test_a_wrong_setting_ends_up_with_the_message_of_the_process_that_read_it(
    place: Path, variables: dict[str, str]
) -> None:
    argv = [
        sys.executable,
        "-m",
        "pixmill",
        "up",
        "--data-dir",
        str(place / "data"),
        "--port",
        str(PortPlan.free().api),
    ]
    environ = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 1, done.stdout
    assert "giving up" in done.stderr
    assert "CELERY_TIMEZONE" in done.stderr
