"""Workers and beat as processes: what stops them at their start, and what they answer while they run."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import textwrap
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from celery import Celery
from tests.integration.shared.processes import BIN, Fleet, Gate, Running, environment_of, frozen, wait_until
from tests.pids import is_alive
from tests.servers import Servers

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.observability.health import CHECK_TIMEOUT

# Nine processes that must not come up, and then four, are started at once.
pytestmark = pytest.mark.timeout(400)

SHARED = "pixmill_shared.celery_app"
NOTIFIER = "pixmill_notifier.celery_app"
HEARTBEAT = "pixmill_shared.tasks.monitoring.record_heartbeat"
#: Seconds in which a probe has its answer, whatever hangs.
PROBE = CHECK_TIMEOUT + 1.5

ACME_TASKS = """
    import os, time, pathlib, structlog
    from sqlalchemy import text
    from pixmill_shared.celery_app import app
    from pixmill_shared.observability.logs import get_logger
    from pixmill_shared.runtime import runtime

    log = get_logger("acme")

    @app.task(name="acme.speak")
    def speak(mark, bind=None):
        if bind:
            structlog.contextvars.bind_contextvars(job_id=bind)
        log.info("acme speaks", mark=mark)

    @app.task(name="acme.connect")
    def connect():
        with runtime().database.session_scope() as session:
            backend = session.scalar(text("SELECT pg_backend_pid()"))
            session.execute(text("SELECT pg_sleep(0.3)"))
        log.info("acme connected", child=os.getpid(), backend=backend)

    @app.task(name="acme.slow")
    def slow(seconds, path):
        pathlib.Path(path + ".begun").touch()
        time.sleep(seconds)
        pathlib.Path(path).touch()
"""


def package(directory: Path, name: str, tasks: str, *, entry_point: bool = True) -> str:
    """A package with a module ``tasks``, as if installed; the directory for PYTHONPATH."""
    (directory / name).mkdir(parents=True)
    (directory / name / "__init__.py").touch()
    (directory / name / "tasks.py").write_text(textwrap.dedent(tasks))
    if entry_point:
        info = directory / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pixmill.tasks]\n{name} = {name}.tasks\n")
    return str(directory)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def gate(servers: Servers) -> Iterator[Gate]:
    """The processes reach their broker through it."""
    where = urlsplit(servers.redis_url)
    gate = Gate((str(where.hostname), int(where.port or 0)))
    yield gate
    gate.shut()


@pytest.fixture(scope="module")
def fleet(servers: Servers, postgres_url: str, directory: Path, gate: Gate) -> Iterator[Fleet]:
    environment = environment_of(servers.stack.environment, postgres_url, directory)
    redis = urlsplit(servers.redis_url)
    environment["REDIS_URL"] = redis._replace(netloc=f":{redis.password}@127.0.0.1:{gate.port}").geturl()
    fleet = Fleet(directory, environment)
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def running(fleet: Fleet, directory: Path) -> dict[str, Running]:
    """One of each kind, started side by side."""
    acme = package(directory / "site", "acme", ACME_TASKS)
    celery = str(BIN / "celery")
    beat = fleet.start("beat", celery, "-q", "-A", SHARED, "beat")
    # To check services that are not there takes a while, and one of the two children.
    checked = f"beat=http://127.0.0.1:{beat.port}"
    running = {
        "prefork": fleet.worker("prefork", SHARED, "-c", "2", PYTHONPATH=acme, PIXMILL_SERVICES=checked),
        "threads": fleet.worker("threads", NOTIFIER, "-P", "threads", "-c", "4"),
        "beat": beat,
        "dispatcher": fleet.dispatcher(),
    }
    for process in running.values():
        process.wait_ready()
    return running


@pytest.fixture(scope="module")
def client(servers: Servers) -> Iterator[Celery]:
    client = Celery(broker=servers.redis_url, set_as_current=False)
    client.conf.task_ignore_result = True
    yield client
    client.close()


def send(client: Celery, name: str, *args: object) -> str:
    return str(client.send_task(name, args=args, queue="default", ignore_result=True).id)


def rows(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


# --- What stops a process at its start ---


@pytest.fixture(scope="module")
def refused(fleet: Fleet, directory: Path) -> Iterator[dict[str, Running]]:
    """Processes that must not come up, started side by side: starting one takes seconds."""
    extra = package(
        directory / "extra",
        "pixmill_extra",
        """
        from pixmill_shared.celery_app import app
        @app.task(name="pixmill_extra.tasks.surprise")
        def surprise(): pass
        """,
    )
    doubled = package(
        directory / "doubled",
        "twice",
        f"""
        from pixmill_shared.celery_app import app
        @app.task(name="{HEARTBEAT}")
        def another(): pass
        """,
    )
    missing = package(directory / "missing", "pixmill_notifier", "", entry_point=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        beat = (str(BIN / "celery"), "-q", "-A", SHARED, "beat")
        started = {
            "extra": fleet.worker("extra", SHARED, "-P", "solo", PYTHONPATH=extra),
            "doubled": fleet.worker("doubled", SHARED, "-P", "solo", PYTHONPATH=doubled),
            "missing": fleet.worker("missing", SHARED, "-P", "solo", PYTHONPATH=missing),
            "no database": fleet.worker("no-database", SHARED, "-P", "solo", DATABASE_URL=None),
            "bad zone": fleet.worker("bad-zone", SHARED, "-P", "solo", CELERY_TIMEZONE="Mars/Olympus"),
            "worker on a taken port": fleet.worker("taken", SHARED, "-P", "solo", port=port),
            "beat on a taken port": fleet.start("taken-beat", *beat, port=port),
            "dispatcher on a taken port": fleet.dispatcher("taken-dispatcher", PIXMILL_PORT=str(port)),
            "dispatcher without a database": fleet.dispatcher("no-database", DATABASE_URL=None),
        }
        for process in started.values():
            process.popen.wait(150)
        yield started


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("extra", "pixmill_extra.tasks.surprise is registered but not in the contract"),
        ("doubled", f"The task {HEARTBEAT} is registered twice: by"),
        ("missing", "pixmill_notifier.tasks.webhooks.deliver_webhook is in the contract but not registered"),
        ("no database", "no database is named. Set DATABASE_URL"),
        ("bad zone", "CELERY_TIMEZONE: 'Mars/Olympus' is no IANA time zone"),
        ("worker on a taken port", "set PIXMILL_PORT"),
        ("beat on a taken port", "set PIXMILL_PORT"),
        ("dispatcher on a taken port", "set PIXMILL_PORT"),
        ("dispatcher without a database", "no database is named. Set DATABASE_URL"),
    ],
)
def test_process_that_cannot_work_stops_with_a_sentence(refused: dict[str, Running], name: str, sentence: str) -> None:
    process = refused[name]
    said = [line for line in process.log.splitlines() if line.startswith("pixmill: ")]
    assert process.popen.returncode == 1, process.log
    assert len(said) == 1, process.log
    assert sentence in process.log
    assert "Traceback" not in process.log


# --- What runs ---


def test_each_process_says_that_it_is_well(running: dict[str, Running]) -> None:
    for process in running.values():
        process.wait_ready()
        wait_until(lambda process=process: process.ask("/health") == (200, '{"status": "healthy"}'), 60)  # type: ignore[misc]
        ok = {"broker": "ok", "database": "ok"}
        wait_until(lambda process=process, ok=ok: process.checks() == ok, 60, "what it needs")  # type: ignore[misc]


def test_heartbeat_of_beat_becomes_a_fresh_row_and_is_counted_in_the_parent(
    running: dict[str, Running], postgres_url: str
) -> None:
    query = "SELECT 1 FROM service_health WHERE service = 'heartbeat' AND checked_at > now() - interval '10 s'"
    wait_until(lambda: rows(postgres_url, query), 60, "a fresh heartbeat")
    metric = ("pixmill_tasks_total", f'task="{HEARTBEAT}"', 'outcome="succeeded"')
    wait_until(lambda: running["prefork"].metric(*metric), 60, "the count of the heartbeat")
    taken = ("pixmill_task_seconds_count", f'task="{HEARTBEAT}"')
    # One more may come between the two questions.
    wait_until(lambda: running["prefork"].metric(*taken) == running["prefork"].metric(*metric), 60, "as many times")


def test_each_child_has_a_connection_of_its_own(running: dict[str, Running], client: Celery, postgres_url: str) -> None:
    worker = running["prefork"]
    worker.ask("/health/ready")  # the parent has its own by now

    sent: list[str] = []

    def work_of(children: int) -> dict[object, object] | None:
        """Once so many children, dead ones too, have told their connection. Each time that all sent have worked, more
        is sent: who of them takes it is up to the machine."""
        told = [line for line in worker.lines if line.get("event") == "acme connected"]
        owners = {line["child"]: line["backend"] for line in told}
        if len(owners) == children and len(told) == len(sent):
            return owners
        if len(told) == len(sent):
            sent.extend(send(client, "acme.connect") for _ in range(4))
        return None

    first = wait_until(lambda: work_of(2), 60, "work of both children")
    assert len(set(first.values())) == 2
    # A child that is forked later, from a parent with open connections, uses none of them either.
    victim = int(str(next(iter(first))))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in worker.children and len(worker.children) >= 2, 60, "a new child")
    now = wait_until(lambda: work_of(3), 60, "work of the new child")
    assert len(set(now.values())) == 3
    worker.wait_ready()
    backends = {
        row[0] for row in rows(postgres_url, "SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    }
    alive = {backend for child, backend in now.items() if child != victim}
    assert alive < backends


def test_lines_of_a_task_carry_its_id_and_nothing_of_the_task_before(
    running: dict[str, Running], client: Celery
) -> None:
    sent = {}
    for mark in ("a", "b", "c", "d", "e", "f"):
        sent[mark] = send(client, "acme.speak", mark, f"job-{mark}" if mark in "ac" else None)
    worker = running["prefork"]

    def spoken() -> list[dict[str, object]]:
        return [line for line in worker.lines if line.get("event") == "acme speaks"]

    wait_until(lambda: len(spoken()) == len(sent), 60, "all lines")
    for line in spoken():
        mark = str(line["mark"])
        assert line["task_id"] == sent[mark]
        assert line["task"] == "acme.speak"
        assert line["process"] == "prefork"
        assert line.get("job_id") == (f"job-{mark}" if mark in "ac" else None)


def test_inspect_answers(running: dict[str, Running], servers: Servers, client: Celery, fleet: Fleet) -> None:
    # Of two that answer it waits for no third, and for them as long as a busy machine may take.
    inspect = client.control.inspect(timeout=60, limit=2)
    nodes = inspect.ping() or {}
    assert {name.partition("@")[0] for name in nodes} == {"prefork", "threads"}
    said = subprocess.run(
        [BIN / "celery", "-A", SHARED, "inspect", "ping", "--json", "-t", "60", "-d", ",".join(nodes)],
        env=fleet.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout[said.stdout.index("{") :]) == nodes
    registered = {name.partition("@")[0]: tasks for name, tasks in (inspect.registered() or {}).items()}
    assert HEARTBEAT in registered["prefork"]
    assert "pixmill_notifier.tasks.webhooks.deliver_webhook" in registered["threads"]
    assert "acme.speak" not in registered["threads"]
    stats = {name.partition("@")[0]: each for name, each in (inspect.stats() or {}).items()}
    assert len(stats["prefork"]["pool"]["processes"]) == 2
    queues = {name.partition("@")[0]: each for name, each in (inspect.active_queues() or {}).items()}
    assert {queue["name"] for queue in queues["prefork"]} == {"default", "default.high", "maintenance"}
    assert {queue["name"] for queue in queues["threads"]} == {"notifier", "notifier.retry", "notifier.alerts"}
    assert set(inspect.active() or {}) == set(nodes)


def probe(processes: Iterable[Running], seconds: float) -> list[int]:
    """For so long: what ``/health/ready`` of each said."""
    until = time.monotonic() + seconds

    def watch(process: Running) -> list[int]:
        said: list[int] = []
        while not said or time.monotonic() < until:
            said.append(process.ask("/health/ready")[0])
            time.sleep(0.5)
        return said

    with ThreadPoolExecutor() as pool:
        return [ready for said in pool.map(watch, processes) for ready in said]


def say_in_time(processes: Iterable[Running], check: str) -> None:
    """Each says within the bound of a probe that ``check`` is unavailable, and then that it is alive.

    Of several answers one is enough: only a probe that hangs is late each time.
    """

    def say(process: Running) -> None:
        def in_time() -> bool:
            asked = time.monotonic()
            status, body = process.ask("/health/ready", timeout=60)
            took = time.monotonic() - asked
            alive = process.ask("/health")[0] == 200
            return alive and took < PROBE and status == 503 and json.loads(body)["checks"][check] == "unavailable"

        wait_until(in_time, 60, f"an answer of {process.name} in {PROBE} s")

    with ThreadPoolExecutor() as pool:
        list(pool.map(say, processes))


def test_frozen_broker_makes_a_probe_say_so_and_not_hang(running: dict[str, Running], servers: Servers) -> None:
    with frozen(servers.stack.pids()["redis"]):
        say_in_time(running.values(), "broker")
    for process in running.values():
        process.wait_ready()


def test_broker_that_is_down_makes_processes_unready_and_none_dead(
    running: dict[str, Running], gate: Gate, client: Celery, fleet: Fleet
) -> None:
    """17 seconds: longer than the age at which a pulse counts as stopped. Some are even started meanwhile."""
    gate.shut()
    try:
        everything = ",".join(QueueName)
        late = [
            fleet.worker("late", SHARED, "-P", "threads", "-c", "1", "-Q", everything),
            fleet.start("late-beat", str(BIN / "celery"), "-q", "-A", SHARED, "beat"),
            fleet.dispatcher("late-dispatcher"),
        ]
        answers = probe(running.values(), 17)
        # Who stood still for a while may have said otherwise before: a pulse that has stopped does not come back.
        wait_until(lambda: {process.ask("/health")[0] for process in running.values()} == {200}, 60, "their pulses")

        def said() -> list[tuple[int, int]]:
            return [(process.ask("/health")[0], process.ask("/health/ready")[0]) for process in late]

        wait_until(lambda: said() == [(200, 503)] * 3, 60, "what those say that were started meanwhile")
        only = {"broker": "unavailable", "database": "ok"}
        wait_until(lambda: running["prefork"].checks() == only, 60, "the reason")
    finally:
        gate.open()
    assert set(answers) == {503}
    for process in (*running.values(), *late):
        process.wait_ready()
    # What -Q says counts, also where it names all queues: nobody else consumes this one.
    client.send_task(HEARTBEAT, queue="imaging.low", ignore_result=True)
    wait_until(lambda: late[0].metric("pixmill_tasks_total", HEARTBEAT, "succeeded"), 60, "work of the late worker")
    assert late[0].end() == 0
    send(client, "acme.speak", "after the outage")
    wait_until(lambda: "after the outage" in running["prefork"].log, 60, "work after the outage")


def test_frozen_database_makes_processes_unready_within_a_bound(running: dict[str, Running], servers: Servers) -> None:
    """All of Postgres: each connection has a process. The one that makes these is stopped before they are listed."""
    postgres = servers.stack.pids()["postgres"]
    pids = [postgres]
    try:
        os.kill(postgres, signal.SIGSTOP)
        pids += map(int, Path(f"/proc/{postgres}/task/{postgres}/children").read_text().split())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        say_in_time(running.values(), "database")
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    for process in running.values():
        process.wait_ready()


def test_sigterm_lets_a_task_end_and_then_the_worker(
    running: dict[str, Running], client: Celery, directory: Path
) -> None:
    """The last test: it ends what the others use."""
    done = directory / "slow"
    send(client, "acme.slow", 1.5, str(done))
    wait_until((directory / "slow.begun").exists, 60, "the start of the task")
    worker = running["prefork"]
    children = worker.children
    assert worker.end() == 0
    assert done.exists()
    wait_until(lambda: not any(map(is_alive, children)), 60, "the end of the children")
    for name in ("threads", "beat", "dispatcher"):
        assert running[name].end() == 0, running[name].log[-2000:]
