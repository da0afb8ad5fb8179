"""A full disk, a database that takes no writes, tables that somebody holds: real processes wait, say so, and go on."""

import contextlib
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.integration.shared.processes import BIN, Fleet, Running, environment_of, wait_until
from tests.servers import Servers

from pixmill_imaging.testing.pictures import encoded, jpeg, photo
from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.database.prepared import Prepared

pytestmark = pytest.mark.timeout(300)

FULL = 1_000_000
"""Bytes that a file may have while the disk is "full"; log files stay below."""
UNLIMITED = resource.RLIM_INFINITY


class House:
    """API, dispatcher and renderers on a database and a directory of their own."""

    def __init__(self, fleet: Fleet, url: str, directory: Path) -> None:
        self.url = url.replace("+psycopg2", "")
        self.objects = directory / "objects"
        self.failpoints = directory / "failpoints"
        self.failpoints.mkdir()
        struck = {"PIXMILL_FAILPOINTS": str(self.failpoints), "PIXMILL_ENV": "test"}
        self.api = fleet.start("api", str(BIN / "python"), "-m", "pixmill_api")
        self.dispatcher = fleet.dispatcher()
        self.imaging = fleet.worker("imaging", "pixmill_imaging.celery_app", "-P", "prefork", "-c", "2", **struck)
        for process in (self.api, self.dispatcher, self.imaging):
            process.wait_ready(90)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.api.port}", timeout=40, trust_env=False)

    def rows(self, *statements: str) -> list[tuple[Any, ...]]:
        """Of the last statement. This connection may write, whatever is set for others."""
        connection = psycopg2.connect(self.url, options="-c default_transaction_read_only=off")
        try:
            with connection, connection.cursor() as cursor:
                for sql in statements:
                    cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def upload(self, data: bytes, media_type: str = "image/jpeg") -> httpx.Response:
        return self.http.post("/api/v1/uploads", content=data, headers={"Content-Type": media_type})

    def submit(self, upload_id: str, **output: Any) -> httpx.Response:
        made = {"name": "web", "operations": [{"op": "resize", "width": 900, "height": 900}], **output}
        recipe = {"outputs": [made]}
        return self.http.post("/api/v1/jobs", json={"source": {"upload_id": upload_id}, "recipe": recipe})

    # A statement has two seconds here: where the machine stands still for as long, what was refused is asked for again.

    def uploaded(self, data: bytes, media_type: str = "image/jpeg") -> str:
        taken = wait_until(lambda: (got := self.upload(data, media_type)).is_success and got, 60, "an upload")
        return str(taken.json()["upload_id"])

    def submitted(self, upload_id: str, **output: Any) -> str:
        taken = wait_until(lambda: (got := self.submit(upload_id, **output)).is_success and got, 60, "a job")
        return str(taken.json()["job_id"])

    def submit_different(self, upload_id: str, count: int, first: int = 50) -> None:
        """Each has pixels of its own to make."""
        for quality in range(first, first + count):
            self.submitted(upload_id, format="jpeg", quality=quality)

    def counts(self) -> dict[str, int]:
        return dict(self.rows("SELECT status, count(*)::int FROM jobs GROUP BY status"))

    def wait_all_completed(self, jobs: int) -> None:
        """And each once, and without anything that a person would have to look into."""
        wait_until(lambda: self.counts() == {"completed": jobs}, 120, f"{jobs} completed jobs")
        assert self.rows("SELECT count(*)::int, count(DISTINCT job_id)::int FROM job_events") == [(jobs, jobs)]
        assert self.rows("SELECT count(*)::int FROM dead_letters") == [(0,)]

    def stored(self) -> set[str]:
        return {str(path.relative_to(self.objects)) for path in self.objects.rglob("*") if path.is_file()}

    def named(self) -> set[str]:
        sql = "SELECT key FROM uploads UNION SELECT storage_key FROM renditions"
        return {row[0] for row in self.rows(sql)}


@pytest.fixture(scope="module")
def running(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    environment = environment_of(servers.stack.environment, postgres_url, directory)
    changes = {"PIXMILL_DB_STATEMENT_TIMEOUT": "2", "PIXMILL_AUTH": "off", "PIXMILL_MAX_ATTEMPTS": "9"}
    fleet = Fleet(directory, {**environment, **changes})
    house = None
    try:
        house = House(fleet, postgres_url, directory)
        yield house
    finally:
        if house:
            house.http.close()
        fleet.stop()


@pytest.fixture
def house(running: House) -> House:
    running.rows("DELETE FROM outputs", "DELETE FROM jobs", "DELETE FROM renditions", "DELETE FROM dead_letters")
    return running


@contextlib.contextmanager
def read_only(house: House) -> Iterator[None]:
    """As after a failover: sessions are cut off, and new ones find a server that takes no writes. The end cuts nobody
    off: who holds a connection that was made meanwhile has to let go of it."""
    setting = "ALTER ROLE CURRENT_USER IN DATABASE {} {} default_transaction_read_only"
    name = house.url.rpartition("/")[2]
    # Committed first: who was cut off before that, and connected anew, would be let write.
    house.rows(setting.format(name, "SET") + " = on")
    house.rows(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    try:
        yield
    finally:
        house.rows(setting.format(name, "RESET"))


@pytest.mark.parametrize("statement", ["of the session", "prepared"])
def test_connection_that_began_read_only_is_let_go_of(postgres_url: str, statement: str) -> None:
    """Or the pool would go on refusing writes long after the server took them again."""
    database = Database(postgres_url, pool_size=1, max_overflow=0)
    write = Prepared("UPDATE jobs SET progress = 1")

    def run(session: Session) -> None:
        if statement == "prepared":
            write.run(session)
        else:
            session.execute(text("UPDATE jobs SET progress = 1"))

    try:
        with database.session_scope() as session:
            session.connection().connection.cursor().execute(
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; COMMIT"
            )
        with pytest.raises(DatabaseUnavailable), database.session_scope() as session:
            run(session)
        with database.session_scope() as session:
            run(session)
    finally:
        database.dispose()


@contextlib.contextmanager
def locked(house: House) -> Iterator[None]:
    """Somebody holds the table of jobs: every statement runs into its time-out."""
    connection = psycopg2.connect(house.url)
    try:
        connection.cursor().execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        connection.close()


@pytest.mark.parametrize("trouble", [read_only, locked])
def test_database_that_refuses_holds_work_up_and_fails_none_of_it(
    house: House, trouble: Callable[[House], contextlib.AbstractContextManager[None]]
) -> None:
    upload_id = house.uploaded(jpeg(photo(2400, 1800, seed=7)))
    # One of them is at work when the trouble begins, and has its end to write in the midst of it.
    (house.failpoints / "finish.begun").write_text(json.dumps({"action": "pause", "seconds": 600}))
    house.submit_different(upload_id, 8)
    (held,) = wait_until(lambda: list(house.failpoints.glob("struck/*")), 60, "a job that is worked on")
    said = len(house.dispatcher.log), len(house.imaging.log)
    with trouble(house):
        held.unlink()
        # Twice the statement's time-out: who was at work is past the end of it, and has run into the wall.
        until = time.monotonic() + 5
        refused = house.submit(upload_id)
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["Retry-After"]) > 0
        wait_until(lambda: says(house.dispatcher, "cannot dispatch, waiting", said[0]), 60, "the dispatcher's word")
        wait_until(lambda: says(house.imaging, "", said[1]), 60, "a worker's word")
        wait_until(lambda: time.monotonic() > until, 30)
        assert all(process.popen.poll() is None for process in (house.api, house.dispatcher, house.imaging))
    house.submitted(upload_id)
    house.wait_all_completed(9)
    assert house.stored() >= house.named()


def says(process: Running, event: str, after: int) -> bool:
    """Whether its log has a line about the database since it had ``after`` characters."""
    return any(event in line and "Error" in line for line in process.log[after:].splitlines())


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are Linux's")
def test_full_disk_holds_up_what_is_too_large_and_goes_on_when_there_is_room(house: House) -> None:
    earlier = house.stored() - house.named()
    large = encoded(noise(1100), "PNG")
    upload_id = house.uploaded(large, "image/png")
    small = house.uploaded(jpeg(photo(300, 200, seed=8)))
    before = house.stored()
    with full_disk(house.api, house.imaging):
        refused = house.upload(large, "image/png")
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "storage_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        assert house.stored() == before
        waits = house.submitted(upload_id, format="png")
        passes = house.submitted(small, format="webp")
        wait_until(lambda: error_of(house, waits) == "storage_unavailable", 60, "the error")
        wait_until(lambda: status_of(house, passes) == "completed", 60, "the small one")
        assert status_of(house, waits) in ("queued", "processing")
        wait_until(lambda: "code=storage_unavailable" in house.imaging.log, 60, "the worker's word")
        # What waits is tried again now and then, and leaves nothing either time.
        made = {row[0] for row in house.rows("SELECT storage_key FROM renditions")}
        wait_until(lambda: house.stored() - before == made, 60, "a storage without parts of objects")
    house.wait_all_completed(2)
    house.uploaded(large, "image/png")
    assert house.stored() - earlier == house.named(), "no part of an object is left"


@contextlib.contextmanager
def full_disk(*processes: Running) -> Iterator[None]:
    """No file grows beyond a bound: the system's own error, in the middle of a write, as a disk that is full gives."""

    def limit(most: int) -> None:
        for process in processes:
            for pid in (process.popen.pid, *process.children):
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, UNLIMITED))

    limit(FULL)
    try:
        yield
    finally:
        limit(UNLIMITED)


def noise(side: int) -> Any:
    """What no format makes small."""
    import random

    from PIL import Image

    return Image.frombytes("RGB", (side, side), random.Random(5).randbytes(3 * side * side))


def status_of(house: House, job_id: str) -> str:
    answer = wait_until(lambda: (got := house.http.get(f"/api/v1/jobs/{job_id}")).is_success and got, 60, "the job")
    return str(answer.json()["status"])


def error_of(house: House, job_id: str) -> str | None:
    (row,) = house.rows(f"SELECT error->>'code' FROM jobs WHERE id = '{job_id}'")
    return str(row[0]) if row[0] else None
