"""The broker goes away: the API goes on taking jobs, and they complete by themselves when it is back."""

import os
import signal
from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Pixmill
from tests.waiting import eventually

from pixmill_imaging.testing.pictures import jpeg, photo

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def frozen_broker(pixmill: Pixmill) -> Iterator[int]:
    """Its process id. It holds connections open and answers nothing: worse than gone."""
    pid = pixmill.stack.pids()["redis"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


def test_job_sent_while_the_broker_hangs_completes_later(pixmill: Pixmill, frozen_broker: int) -> None:
    url = pixmill.neighbour.serve("down.jpg", jpeg(photo(500, 400, seed=31)))
    job = pixmill.process(image_url=url, webhook_url=pixmill.neighbour.hook_url)
    assert job["status"] == "queued"
    eventually(lambda: pixmill.http.get("/health/ready").status_code == 503, 60)
    assert pixmill.http.get("/health").status_code == 200
    assert pixmill.http.get(f"/api/v1/jobs/{job['job_id']}").json()["status"] == "queued"
    os.kill(frozen_broker, signal.SIGCONT)
    assert pixmill.finished(job, within=90)["status"] == "completed"
    assert eventually(lambda: pixmill.neighbour.webhooks_of(job["job_id"]), 60)


def test_job_sent_after_the_broker_was_killed_completes(pixmill: Pixmill) -> None:
    url = pixmill.neighbour.serve("killed.jpg", jpeg(photo(500, 400, seed=32)))
    killed = pixmill.stack.pids()["redis"]
    os.kill(killed, signal.SIGKILL)
    job = pixmill.process(image_url=url)
    eventually(lambda: pixmill.stack.pids().get("redis") not in (None, killed), 60)
    assert pixmill.finished(job, within=90)["status"] == "completed"
