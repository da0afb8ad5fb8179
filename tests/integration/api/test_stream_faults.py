"""Streams while Redis and Postgres are away, and viewers that do not read."""

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest
from tests.integration.api.running import Api, running_api, wait_until
from tests.integration.api.streaming import Stream, claimed, complete, session_of, submitted, viewers, watching
from tests.integration.shared.processes import frozen
from tests.servers import Servers, running_servers
from tests.waiting import eventually

from pixmill_shared.domain.jobs import Stage
from pixmill_shared.progress.publisher import Publisher
from pixmill_shared.progress.reports import StageReport


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A Postgres and a Redis that these tests may kill."""
    with running_servers(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture(scope="module")
def api(own: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    storage = tmp_path_factory.mktemp("storage") / "objects"
    with running_api(own.new_database(), storage, REDIS_URL=own.redis_url) as running:
        yield running


def killed(own: Servers, name: str) -> None:
    """Returns when another process has its place."""
    before = own.stack.pids()[name]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: own.stack.pids().get(name) not in (None, before), 60)


def reporting(api: Api, own: Servers, job_id: str) -> StageReport:
    """As a worker has it."""
    with session_of(api) as session:
        job = claimed(session, job_id)
        session.rollback()
    return StageReport(Publisher(own.redis_url), job, Stage.RENDER, clock=iter(range(1_000_000)).__next__)


def told_by(stream: Stream, report: StageReport, percent: int) -> None:
    """Percentages may be lost, so it is said again and again."""

    def told() -> bool:
        report(percent)
        return any(e.event == "job.progress" and e.data["progress"] == percent for e in stream.events)

    eventually(told, 60, every=0.2)


def test_percentages_of_workers_are_told(api: Api, own: Servers) -> None:
    job_id = submitted(api)
    report = reporting(api, own, job_id)
    with watching(api, f"jobs/{job_id}/events") as stream:
        stream.wait_for("snapshot")
        told_by(stream, report, 41)
        told_by(stream, report, 67)
        progress = stream.wait_for("job.progress")
    assert progress.data == {"job_id": job_id, "status": "processing", "stage": "render", "progress": 41}
    assert progress.id is None


def test_percentage_stays_when_the_row_is_looked_at(api: Api, own: Servers) -> None:
    """The row's own is that of the last stage that was finished."""
    job_id = submitted(api)
    report = reporting(api, own, job_id)
    api.query("UPDATE jobs SET status = 'processing', stage = 'render', progress = 30 WHERE id = %s", job_id)
    with watching(api, f"jobs/{job_id}/events") as stream:
        stream.wait_for("snapshot")
        told_by(stream, report, 55)
        time.sleep(2.5)
        assert [event.data["progress"] for event in stream.events if event.event == "job.progress"] == [55]


def test_end_that_nobody_was_notified_of_is_told_by_the_rows(api: Api) -> None:
    job_id = submitted(api)
    with watching(api, f"jobs/{job_id}/events") as stream:
        stream.wait_for("snapshot")
        api.query("UPDATE jobs SET status = 'failed', stage = NULL, sequence = 1 WHERE id = %s", job_id)
        assert stream.wait_for_end()[-1].event == "job.failed"


def test_without_redis_ends_are_told_as_before_and_percentages_come_back_with_it(api: Api, own: Servers) -> None:
    first, second = submitted(api), submitted(api)
    with watching(api, f"jobs/{first}/events") as stream:
        stream.wait_for("snapshot")
        with frozen(own.stack.pids()["redis"]):
            complete(api, first)
            assert stream.wait_for_end()[-1].event == "job.completed"
    killed(own, "redis")
    report = reporting(api, own, second)
    with watching(api, f"jobs/{second}/events") as stream:
        stream.wait_for("snapshot")
        told_by(stream, report, 12)
        killed(own, "redis")
        complete(api, second)
        assert stream.wait_for_end()[-1].event == "job.completed"


def test_streams_outlive_a_restart_of_postgres(api: Api, own: Servers) -> None:
    first, second = submitted(api), submitted(api)
    with watching(api, f"jobs/{first}/events") as one, watching(api, "events") as all_of_it:
        one.wait_for("snapshot")
        wait_until(lambda: all_of_it.retry == 2000, "the stream has begun", 60)
        killed(own, "postgres")
        eventually(lambda: _answers(api), 60)
        complete(api, first)
        assert one.wait_for_end()[-1].event == "job.completed"
        all_of_it.wait_for("job.completed")
    with watching(api, f"jobs/{second}/events") as stream:
        stream.wait_for("snapshot")
        complete(api, second)
        assert stream.wait_for_end()[-1].event == "job.completed"


def _answers(api: Api) -> bool:
    try:
        api.query("SELECT 1")
    except Exception:
        return False
    return True


def test_viewer_who_does_not_read_costs_no_memory_and_holds_up_nobody(api: Api, own: Servers) -> None:
    job_id = submitted(api)
    report = reporting(api, own, job_id)
    with socket.socket() as lazy, watching(api, f"jobs/{job_id}/events") as stream:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", int(api.url.rpartition(":")[2])))
        lazy.sendall(f"GET /api/v1/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: viewers(api) >= 2, "both watch", 60)
        told_by(stream, report, 1)
        before = api.resident_bytes()
        for number in range(20_000):
            report(2 + number % 97)
        told_by(stream, report, 98)
        assert api.resident_bytes() - before < 10_000_000
        complete(api, job_id)
        assert stream.wait_for_end()[-1].event == "job.completed"
