"""The whole stack, once a session, and what it talks to: pictures and a webhook receiver on loopback."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.e2e.neighbours import CountingListener, Neighbour
from tests.faults.stack import Stack, running_stack
from tests.gemini import FakeGemini, running_gemini
from tests.s3 import S3
from tests.waiting import eventually

from pixmill.local.stack import LocalStack

TERMINAL = ("completed", "failed", "canceled")
SLOW = ("stall", "drip")
"""Of the neighbour: what never ends."""


@dataclass
class Pixmill:
    """A running stack, seen from outside. ``slow`` are jobs that began with it, by their sources: their time-outs pass
    while other tests run.
    """

    stack: LocalStack
    http: httpx.Client
    neighbour: Neighbour
    log: io.StringIO
    slow: dict[str, dict[str, Any]] = field(default_factory=dict)

    def upload(self, data: bytes, media_type: str = "image/jpeg") -> str:
        response = self.http.post("/api/v1/uploads", content=data, headers={"Content-Type": media_type})
        assert response.status_code == 201, response.text
        return str(response.json()["upload_id"])

    def process(self, **fields: Any) -> dict[str, Any]:
        response = self.http.post("/api/v1/process", json=fields)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def job(self, document: dict[str, Any]) -> dict[str, Any]:
        response = self.http.post("/api/v1/jobs", json=document)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def finished(self, job: dict[str, Any], within: float = 90) -> dict[str, Any]:
        """The job as soon as it is over."""

        def over() -> dict[str, Any] | None:
            now: dict[str, Any] = self.http.get(f"/api/v1/jobs/{job['job_id']}").json()
            return now if now["status"] in TERMINAL else None

        try:
            return eventually(over, within)
        except AssertionError:
            print(self.log.getvalue()[-8000:])
            raise


@pytest.fixture(scope="session")
def neighbour() -> Iterator[Neighbour]:
    with Neighbour() as running:
        yield running


@pytest.fixture
def listener() -> Iterator[CountingListener]:
    """On a port that the stack may not reach."""
    with CountingListener() as listening:
        yield listening


@pytest.fixture(scope="session")
def gemini() -> Iterator[FakeGemini]:
    with running_gemini() as running:
        yield running


@pytest.fixture(scope="session")
def pixmill(tmp_path_factory: pytest.TempPathFactory, neighbour: Neighbour, gemini: FakeGemini) -> Iterator[Pixmill]:
    """The stack of ``pixmill up``. Only the neighbour's port and the provider's are allowed.

    Time-outs are longer than a busy machine stands still, and shorter than the neighbour stalls.
    """
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "PIXMILL_ENV": "test",
        **gemini.variables(),
        "PIXMILL_EGRESS_ALLOW": f"127.0.0.1:{neighbour.port},{gemini.url.removeprefix('http://')}",
        "PIXMILL_FETCH_TIMEOUT": "15",
        "PIXMILL_WEBHOOK_TIMEOUT": "30",
        "PIXMILL_LEASE": "60",
        "PIXMILL_MAX_ATTEMPTS": "2",
    }
    log = io.StringIO()
    stack = LocalStack(tmp_path_factory.mktemp("stack"), environ=environ, log=log, throwaway=True)
    try:
        stack.start()
    except BaseException:
        print(log.getvalue()[-8000:])
        raise
    try:
        with httpx.Client(base_url=stack.urls["api"], timeout=60, trust_env=False) as http:
            pixmill = Pixmill(stack, http, neighbour, log)
            pixmill.slow = {path: pixmill.process(image_url=f"{neighbour.base}/{path}") for path in SLOW}
            yield pixmill
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory, s3: S3) -> Iterator[Stack]:
    """A stack with short leases, a bucket and failpoints, for tests that break it."""
    with running_stack(tmp_path_factory.mktemp("breakable"), s3) as stack:
        yield stack
