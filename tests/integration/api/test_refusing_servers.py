"""A database that takes no writes, or takes too long, and a storage that is full: 503, and nothing half-written."""

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from tests.integration.api.running import Api, patiently, running_api
from tests.integration.api.test_bad_input import assert_problem

URL = "https://example.com/a.jpg"
JOB: dict[str, Any] = {"source": {"url": URL}, "recipe": {"outputs": [{"name": "web"}]}}
FILE = {"file": ("a.png", b"pixels", "image/png")}


@pytest.fixture(scope="module")
def api(postgres_url: str, storage: Path) -> Iterator[Api]:
    with running_api(postgres_url, storage, PIXMILL_DB_STATEMENT_TIMEOUT="3") as running:
        yield running


def writes(api: Api, job: str, key: str | None, *, patient: bool = False) -> list[httpx.Response]:
    """All calls that write, at once; the last one cancels ``job``. With ``key`` each has one of its own.

    ``patient``: also on a machine that stands still for the three seconds of a statement.
    """
    calls: list[tuple[str, dict[str, Any]]] = [
        ("jobs", {"json": JOB}),
        ("process", {"json": {"image_url": URL}}),
        ("process", {"files": FILE}),
        ("uploads", {"content": b"pixels", "headers": {"Content-Type": "image/png"}}),
        (f"jobs/{job}/cancel", {}),
    ]

    def send(number: int) -> httpx.Response:
        path, content = calls[number]
        keyed = {"Idempotency-Key": f"{key}-{number}"} if key else {}
        arguments = {**content, "headers": {**content.get("headers", {}), **keyed}}
        if patient:
            return patiently(lambda: api.client.post(f"/api/v1/{path}", **arguments))
        return api.client.post(f"/api/v1/{path}", **arguments)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(send, range(len(calls))))


@contextmanager
def read_only(api: Api) -> Iterator[None]:
    """As a standby, or a server whose disk is nearly full: connections that are open, and new ones."""
    name = api.query("SELECT current_database()")[0][0]
    try:
        api.query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        _cut(api)
        yield
    finally:
        connection = psycopg2.connect(api.database_url.replace("+psycopg2", ""))
        connection.set_session(readonly=False, autocommit=True)
        connection.cursor().execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        connection.close()
        _cut(api)


@contextmanager
def slow(api: Api) -> Iterator[None]:
    """Somebody holds the tables; a statement is given up after three seconds."""
    connection = psycopg2.connect(api.database_url.replace("+psycopg2", ""))
    try:
        connection.cursor().execute("LOCK TABLE jobs, uploads IN EXCLUSIVE MODE")
        yield
    finally:
        connection.close()


def _cut(api: Api) -> None:
    api.query(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )


@pytest.mark.parametrize("key", [None, "mine"], ids=["keyless", "keyed"])
@pytest.mark.parametrize("trouble", [read_only, slow])
def test_write_that_the_database_refuses_is_503_and_leaves_nothing(
    api: Api, trouble: Callable[[Api], AbstractContextManager[None]], key: str | None
) -> None:
    key = f"{key}-{trouble.__name__}" if key else None
    job = patiently(lambda: api.client.post("/api/v1/jobs", json=JOB)).json()
    before = api.traces()
    with trouble(api):
        for answer in writes(api, job["job_id"], key):
            assert_problem(answer, 503, "database_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert patiently(lambda: api.client.get(job["urls"]["self"])).json()["status"] == "queued"
    assert api.traces() == before
    recovered = writes(api, job["job_id"], key, patient=True)
    assert [answer.status_code for answer in recovered] == [202, 202, 202, 201, 200]
    assert not any("Idempotency-Replayed" in answer.headers for answer in recovered)


@pytest.mark.parametrize("path", ["/api/v1/uploads", "/api/v1/process"])
def test_storage_that_is_full_is_503_and_leaves_nothing(api: Api, path: str) -> None:
    """No file of the process may grow beyond 300 kB: to who writes, that is a full disk."""
    before = api.traces()
    picture = {"file": ("a.png", b"x" * 1_000_000, "image/png")}
    limits = resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    answer = api.client.post(path, files=picture)
    assert_problem(answer, 503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert api.traces() == before
    resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, limits)
    assert patiently(lambda: api.client.post(path, files=picture)).is_success
