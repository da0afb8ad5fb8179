"""The embedded Postgres and Redis: started, found again, killed, and who may do what in them."""

import asyncio
import io
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
import redis
from tests.integration.local_stack.conftest import eventually, new_place
from tests.pids import is_alive

from pixmill.errors import DataDirError
from pixmill.local import privileges
from pixmill.local.keeper import RestartPolicy
from pixmill.local.stack import LocalStack


@contextmanager
def running(directory: Path, environ: dict[str, str] | None = None) -> Iterator[LocalStack]:
    log = io.StringIO()
    # What was killed long ago does not count: Postgres cannot start before the last process of the killed one is gone.
    policy = RestartPolicy(window=2, first_delay=0.2)
    stack = LocalStack(directory, environ=environ or {}, log=log, servers_only=True, policy=policy)
    try:
        with stack:
            yield stack
    finally:
        print(log.getvalue())


@pytest.fixture(scope="module")
def one() -> Iterator[LocalStack]:
    """For those that only look at it."""
    with new_place() as place, running(place / "data") as stack:
        yield stack


@contextmanager
def cursor(url: str = "", **parameters: Any) -> Iterator[Any]:
    connection = psycopg2.connect(url, **parameters)
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        connection.close()


def test_a_second_start_finds_the_data_of_the_first(place: Path) -> None:
    with running(place / "data") as stack:
        with cursor(stack.database.migrate_url) as sql:
            sql.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
        with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
            client.set("kept", "42")
        first = dict(stack.environment)
    with running(place / "data") as stack:
        with cursor(stack.environment["DATABASE_URL"]) as sql:
            sql.execute("SELECT n FROM kept")
            assert sql.fetchone() == (42,)
        with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
            assert client.get("kept") == b"42"
        # These carry ports, which are others here.
        differing = {name for name in first if first[name] != stack.environment[name]}
        assert differing <= {"PIXMILL_PUBLIC_URL", "PIXMILL_SERVICES"}


def test_looks_that_overlap_make_one_database(place: Path) -> None:
    """A look that takes long on a busy machine is given up and another one begins, while its thread goes on."""

    async def look(stack: LocalStack) -> list[bool]:
        return await asyncio.gather(*(stack.database.ready() for _ in range(4)))

    with running(place / "data") as stack:
        with cursor(**stack.database.connection_parameters("postgres")) as sql:
            sql.execute("DROP DATABASE pixmill WITH (FORCE)")
        assert asyncio.run(look(stack)) == [True] * 4
        with cursor(stack.environment["DATABASE_URL"]) as sql:
            sql.execute("SELECT current_database()")
            assert sql.fetchone() == ("pixmill",)


def test_the_app_role_writes_rows_of_tables_made_later_and_makes_none(one: LocalStack) -> None:
    with cursor(one.database.migrate_url) as sql:
        sql.execute("CREATE TABLE later (id bigserial PRIMARY KEY, n int)")
    with cursor(one.environment["DATABASE_URL"]) as sql:
        sql.execute("INSERT INTO later (n) VALUES (1); UPDATE later SET n = 2; DELETE FROM later")
        for forbidden in ("CREATE TABLE mine (n int)", "DROP TABLE later", "TRUNCATE later"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                sql.execute(forbidden)


def test_postgres_that_was_killed_comes_back_with_its_rows(place: Path) -> None:
    with running(place / "data") as stack:
        with cursor(stack.database.migrate_url) as sql:
            sql.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        killed = stack.pids()["postgres"]
        os.kill(killed, signal.SIGKILL)
        url = stack.environment["DATABASE_URL"]
        assert eventually(lambda: stack.pids().get("postgres", killed) != killed and answers(url))
        with cursor(url) as sql:
            sql.execute("SELECT n FROM kept")
            assert sql.fetchone() == (7,)


def test_queues_survive_a_killed_redis_with_transactions_in_its_file(place: Path) -> None:
    with running(place / "data") as stack:
        client = redis.Redis.from_url(stack.environment["REDIS_URL"])
        with client.pipeline(transaction=True) as pipeline:
            pipeline.lpush("queue", "message").set("after", "1").execute()
        killed = stack.pids()["redis"]
        assert eventually(lambda: int(client.info("persistence")["aof_pending_bio_fsync"]) == 0)
        os.kill(killed, signal.SIGKILL)
        client.close()
        assert eventually(lambda: stack.pids().get("redis", killed) != killed)
        with redis.Redis.from_url(stack.environment["REDIS_URL"], retry_on_error=[redis.BusyLoadingError]) as again:
            assert eventually(lambda: pings(again))
            assert again.lrange("queue", 0, -1) == [b"message"]


def test_redis_keeps_every_write_and_evicts_nothing(one: LocalStack) -> None:
    with redis.Redis.from_url(one.environment["REDIS_URL"]) as client:
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_servers_want_a_password_and_listen_on_loopback_only(one: LocalStack) -> None:
    without = one.environment["DATABASE_URL"].replace("app:", "app:wrong", 1)
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        psycopg2.connect(without)
    port = int(one.environment["REDIS_URL"].rpartition(":")[2].partition("/")[0])
    with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert listening_addresses(one.pids()["postgres"], port) == {"0100007F"}


def test_two_side_by_side_do_not_meet(one: LocalStack, place: Path) -> None:
    with running(place / "two") as two:
        with redis.Redis.from_url(one.environment["REDIS_URL"]) as client:
            client.set("mine", "1")
        with redis.Redis.from_url(two.environment["REDIS_URL"]) as client:
            assert client.get("mine") is None
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(one.environment["DATABASE_URL"].replace(port_of(one), port_of(two)))


def test_a_second_stack_on_the_same_directory_is_refused(one: LocalStack) -> None:
    with pytest.raises(DataDirError, match=rf"runs on .* already \(process {os.getpid()}\)"):
        LocalStack(one.data.path, environ={}, servers_only=True, log=io.StringIO()).start()
    assert answers(one.environment["DATABASE_URL"])


def test_a_port_that_was_taken_meanwhile_is_chosen_anew(place: Path) -> None:
    with running(place / "data") as stack:
        before = port_of(stack)
    with socket.create_server(("127.0.0.1", int(before))), running(place / "data") as stack:
        assert port_of(stack) != before
        assert answers(stack.environment["DATABASE_URL"])


def test_secrets_are_for_their_owner_only_and_not_in_the_arguments(one: LocalStack) -> None:
    for name in ("secrets.json", "environment.json", "state.json"):
        assert stat.S_IMODE((one.data.path / name).stat().st_mode) == 0o600
    for name in ("postgres", "redis"):
        assert stat.S_IMODE((one.server_directory / name).stat().st_mode) == 0o700
    passwords = [url.split("@")[0].rpartition(":")[2] for url in one.environment.values() if "@" in url]
    arguments = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in one.pids().values())
    assert len(passwords) == 3
    assert not any(password.encode() in arguments for password in passwords)


def test_a_lost_secrets_file_is_said_and_not_replaced(place: Path) -> None:
    with running(place / "data"):
        pass
    (place / "data" / "secrets.json").unlink()
    with pytest.raises(DataDirError, match=r"secrets\.json is gone"), running(place / "data"):
        pass
    assert not (place / "data" / "secrets.json").exists()


def test_a_lock_file_whose_process_is_something_else_by_now_does_not_block_postgres(place: Path) -> None:
    with running(place / "data") as stack:
        cluster = stack.server_directory / "postgres" / "postgres-18"
    user = privileges.server_user()
    with subprocess.Popen(["sleep", "60"], user=None if user is None else user.uid) as other:
        lock = cluster / "postmaster.pid"
        lock.write_text(f"{other.pid}\n{cluster}\n0\n0\n\n127.0.0.1\n")
        try:
            with running(place / "data") as stack:
                assert answers(stack.environment["DATABASE_URL"])
        finally:
            other.kill()


def test_servers_that_a_killed_stack_left_are_ended_before_new_ones_start(place: Path) -> None:
    data = place / 'data "quoted"'
    with running(data) as stack:
        argvs = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in stack.pids().values()]
        directory, binary = stack.server_directory, os.readlink(f"/proc/{stack.pids()['redis']}/exe")
    assert len(argvs) == 2
    nobody = privileges.server_user()
    user = None if nobody is None else nobody.uid
    postgres = [part.decode() for part in argvs[0].split(b"\0") if part]
    commands = [postgres, [binary, str(directory / "redis" / "redis.conf")]]
    left = [subprocess.Popen(c, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for c in commands]
    try:
        assert eventually((directory / "redis" / "redis.pid").exists)
        assert eventually(lambda: answers(stack.environment["DATABASE_URL"]))
        with running(data) as again:
            assert [process.wait(60) for process in left] == [0, 0]
            assert answers(again.environment["DATABASE_URL"])
    finally:
        for process in left:
            process.kill()
            process.communicate()


def test_stopping_leaves_no_process(place: Path) -> None:
    with running(place / "data") as stack:
        pids = set(stack.pids().values()) | children_of(stack.pids()["postgres"])
        assert len(pids) > 4
    assert not any(map(is_alive, pids))


def test_a_stack_started_from_a_thread_that_ended_goes_on(place: Path) -> None:
    stack = LocalStack(place / "data", environ={}, servers_only=True, log=io.StringIO())
    thread = threading.Thread(target=stack.start)
    thread.start()
    thread.join()
    try:
        with pytest.raises(TimeoutError):
            stack.wait(0.5)
        assert answers(stack.environment["DATABASE_URL"])
    finally:
        stack.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="only root's servers run as somebody else")
def test_servers_of_root_run_as_nobody(one: LocalStack) -> None:
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in one.pids().values()}
    nobody = privileges.server_user()
    assert nobody is not None
    assert owners == {nobody.uid}
    assert one.server_directory == one.data.path


@pytest.mark.skipif(os.getuid() != 0, reason="only root's servers run as somebody else")
def test_where_nobody_cannot_enter_data_and_binaries_are_put_elsewhere(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(privileges, "FALLBACK", place / "fallback")
    monkeypatch.setattr(privileges, "runs", only_below(place / "fallback"))
    for _ in range(2):  # the second start finds it again
        with running(closed / "data") as stack:
            assert stack.server_directory.parent == place / "fallback"
            binaries = {os.readlink(f"/proc/{pid}/exe") for pid in stack.pids().values()}
            assert all(binary.startswith(str(place / "fallback" / "bin")) for binary in binaries)
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert len(list((place / "fallback").glob("data-*"))) == 1


def test_a_throwaway_stack_leaves_nothing_wherever_its_data_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(privileges, "FALLBACK", place / "fallback")
    with LocalStack(closed / "data", environ={}, log=io.StringIO(), servers_only=True, throwaway=True) as stack:
        elsewhere = stack.server_directory
        assert (elsewhere / "postgres").is_dir()
        with pytest.raises(DataDirError):  # and one that is refused removes nothing of it
            LocalStack(closed / "data", environ={}, log=io.StringIO(), throwaway=True).start()
        assert answers(stack.environment["DATABASE_URL"])
    assert not elsewhere.exists()
    assert not (closed / "data").exists()


def only_below(directory: Path) -> Callable[[privileges.ServerUser | None, Path], bool]:
    original = privileges.runs
    return lambda user, binary: binary.is_relative_to(directory) and original(user, binary)


def answers(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def port_of(stack: LocalStack) -> str:
    return stack.environment["DATABASE_URL"].rpartition(":")[2].partition("/")[0]


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def listening_addresses(pid: int, port: int) -> set[str]:
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {
        local.split(":")[0] for _, local, _, state, *_ in rows if state == "0A" and int(local.split(":")[1], 16) == port
    }
