"""Flower as a process, and Celery's own commands, beside one real worker."""

import datetime
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text
from tests.integration.shared.clockwork import kept, send
from tests.integration.shared.crew import Crew
from tests.integration.shared.processes import BIN, Running, free_port, wait_until
from tests.servers import Servers

from pixmill_shared import flower
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.settings.flower import FlowerSettings

LOGIN = ("admin", "a-good-one:with-a-colon")
APP = "pixmill_shared.celery_app"
HEARTBEAT = TaskName.RECORD_HEARTBEAT.value
AT = datetime.datetime(2026, 5, 1, 3, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def crew(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    crew = Crew(servers, postgres_url, tmp_path_factory.mktemp("crew"))
    yield crew
    crew.close()


@pytest.fixture(scope="module")
def worker(crew: Crew) -> Running:
    running = crew.fleet.worker("worker", APP, "-P", "threads", "-c", "2", "-Q", "default")
    running.wait_ready(120)
    return running


@pytest.fixture(scope="module")
def name(crew: Crew, worker: Running) -> str:
    """The worker's, as Celery calls it."""
    with crew.database.session_scope() as session:
        return str(wait_until(lambda: session.scalar(text("SELECT name FROM workers")), 60, "the worker's row"))


def start_flower(crew: Crew, state: Path, prefix: str = "") -> Running:
    login = {
        "FLOWER_USER": LOGIN[0],
        "FLOWER_PASSWORD": LOGIN[1],
        "PIXMILL_ENV": "production",
        "PIXMILL_FAILPOINTS": "",
    }
    return crew.fleet.start(
        "flower",
        # Workers start without what Flower imports; it cannot.
        *("env", "-u", "PYTHONPATH", str(BIN / "python"), "-m", "pixmill_shared.flower"),
        **{
            **login,
            "PIXMILL_ENV": "production",
            "PIXMILL_FAILPOINTS": "",
            "FLOWER_DB": str(state),
            "FLOWER_URL_PREFIX": prefix,
        },
    )


def ask(running: Running, path: str, login: tuple[str, str] | None = LOGIN) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{running.port}{path}", auth=login, timeout=30)


def healthy(running: Running, path: str) -> bool:
    assert running.popen.poll() is None, running.log
    return running.ask(path)[0] == 200


def seen_task(running: Running, path: str) -> dict[str, Any]:
    answer = ask(running, path)
    return dict(answer.json()) if answer.status_code == 200 else {}


def test_flower_asks_for_its_login_lists_workers_and_keeps_what_it_saw(
    crew: Crew, worker: Running, name: str, tmp_path: Path
) -> None:
    running = start_flower(crew, tmp_path / "flower")
    wait_until(lambda: healthy(running, "/healthcheck"), 120, "Flower")
    for login in (None, ("admin", "wrong"), ("admin", "")):
        for path in ("/api/workers", "/api/tasks", "/workers", "/"):
            assert ask(running, path, login).status_code == 401
    assert "a-good-one" not in Path(f"/proc/{running.popen.pid}/cmdline").read_text()

    def known_workers() -> dict[str, Any]:
        """Flower waits a second for what each worker says of itself, and shows what has come."""
        answer = ask(running, "/api/workers?refresh=1")
        found = dict(answer.json()) if answer.status_code == 200 else {}
        return found if any("registered" in each for each in found.values()) else {}

    found = wait_until(known_workers, 60, "the worker")
    assert list(found) == [name]
    assert HEARTBEAT in found[name]["registered"]
    # It has workers tell of their tasks from now on: until they do, a task more.
    sent: list[str] = []

    def noticed() -> str | None:
        sent.append(
            send(
                crew.fleet.environment["REDIS_URL"],
                "heartbeat",
                HEARTBEAT,
                "default",
                AT.replace(year=2026 + len(sent)),
            )
        )
        assert kept(crew.fleet.environment["REDIS_URL"], sent[-1])[0]["status"] == "SUCCESS"
        return next((each for each in sent if seen_task(running, f"/api/task/info/{each}").get("name")), None)

    known = wait_until(noticed, 60, "that Flower sees a task")
    wait_until(lambda: seen_task(running, f"/api/task/info/{known}").get("state") == "SUCCESS", 60, "its end")
    assert seen_task(running, f"/api/task/info/{known}")["name"] == HEARTBEAT
    assert seen_task(running, f"/api/task/result/{known}")["state"] == "SUCCESS"
    assert running.end(signal.SIGTERM, 60) == 0
    again = start_flower(crew, tmp_path / "flower", prefix="/flower/")
    wait_until(lambda: healthy(again, "/flower/healthcheck"), 120, "Flower, under a path")
    assert ask(again, "/flower/api/workers", None).status_code == 401
    assert ask(again, "/api/workers").status_code == 404
    assert seen_task(again, f"/flower/api/task/info/{known}")["state"] == "SUCCESS"
    assert "/flower/static/" in ask(again, "/flower/workers").text
    assert again.end(signal.SIGTERM, 60) == 0


COMMANDS = ("inspect active", "inspect scheduled", "inspect stats", "inspect registered", "report")
#: What the celery command does, several times over in one process: each start of it takes seconds.
RUN = """
import json, sys
from celery.bin.celery import celery
for line in sys.argv[2:]:
    print(json.dumps({"ran": line}))
    wait = ["-t", "60", "-d", sys.argv[1], "-j"] if line.startswith("inspect") else []
    try:
        celery.main(args=["-A", "pixmill_shared.celery_app", *line.split(), *wait], prog_name="celery")
    except SystemExit as end:
        assert not end.code, end.code
    sys.stdout.flush()
"""


def test_commands_that_operators_know_work(crew: Crew, worker: Running, name: str) -> None:
    (crew.failpoints / "tick.claimed@held").write_text(json.dumps({"action": "pause", "seconds": 300}))
    held = send(crew.fleet.environment["REDIS_URL"], "held", HEARTBEAT, "default", AT)
    (strike,) = wait_until(lambda: list((crew.failpoints / "struck").glob("*")), 60, "that a task is under way")
    environment = {**crew.fleet.environment, "PIXMILL_PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-c", RUN, name, *COMMANDS],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    strike.unlink()
    assert done.returncode == 0, done.stderr
    told = dict(zip(COMMANDS, _answers(done.stdout), strict=True))
    answers = {line: json.loads(answer) for line, answer in told.items() if line != "report"}
    ((task,),) = answers["inspect active"].values()
    assert (task["id"], task["name"]) == (held, HEARTBEAT)
    assert answers["inspect scheduled"] == {name: []}
    assert answers["inspect stats"][name]["pool"]["max-concurrency"] == 2
    assert HEARTBEAT in answers["inspect registered"][name]
    assert "software -> celery:5" in told["report"]
    password = urlsplit(crew.fleet.environment["REDIS_URL"]).password
    assert password
    assert password not in done.stdout


def _answers(output: str) -> Iterator[str]:
    """What each command printed; the lines between them are those of RUN."""
    lines: list[str] = []
    for line in output.splitlines()[1:]:
        if line.startswith('{"ran": '):
            yield "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    yield "\n".join(lines)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "FLOWER_USER"),
        ({"FLOWER_USER": "admin"}, "FLOWER_PASSWORD"),
        ({"FLOWER_PASSWORD": "x"}, "FLOWER_USER"),
        ({"FLOWER_USER": "admin", "FLOWER_PASSWORD": "changeme"}, "FLOWER_PASSWORD"),
        ({"FLOWER_USER": "admin", "FLOWER_PASSWORD": "x", "FLOWER_DB": "/not/there/flower"}, "FLOWER_DB"),
        ({"FLOWER_USER": "admin", "FLOWER_PASSWORD": "x", "FLOWER_URL_PREFIX": "a b"}, "FLOWER_URL_PREFIX"),
    ],
    ids=["nothing", "no password", "no user", "placeholder", "state nowhere", "no path"],
)
def test_flower_does_not_start_without_a_login_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: dict[str, str], said: str
) -> None:
    for variable in ("FLOWER_USER", "FLOWER_PASSWORD", "FLOWER_DB", "FLOWER_URL_PREFIX", "PIXMILL_ENV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        flower.main()
    assert ended.value.code == 1
    assert said in capsys.readouterr().err


def test_placeholder_is_taken_on_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {
        "PIXMILL_ENV": "development",
        "FLOWER_USER": "admin",
        "FLOWER_PASSWORD": "changeme",
    }.items():
        monkeypatch.setenv(variable, value)
    assert FlowerSettings.load().basic_auth == "admin:changeme"
