"""A feed, a worker that is killed twice while it reads it, and what becomes of 500 pictures."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from kombu import Queue
from tests.integration.egress.servers import Server, answer
from tests.integration.imaging.looking import Watch, feed, run_out
from tests.integration.shared.crew import IMAGING, Crew
from tests.integration.shared.processes import Running
from tests.servers import Servers
from tests.waiting import eventually

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName


@pytest.fixture
def crew(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Crew]:
    # Leases of the dead run out by hand, and those of the living never.
    crew = Crew(servers, postgres_url, tmp_path, PIXMILL_LEASE="300", PIXMILL_EGRESS_ALLOW="127.0.0.1")
    yield crew
    crew.close()


def start(crew: Crew) -> Running:
    return crew.fleet.worker("imaging-io", IMAGING, "-Q", "fetch", "-P", "threads", "-c", "4")


@pytest.mark.timeout(400)
def test_feed_of_500_makes_500_jobs_though_its_worker_is_killed_twice(crew: Crew, redis_url: str) -> None:
    server = Server(answer(200, feed(500)))
    watch = Watch(crew.database)
    made = watch.make({"type": "rss", "url": server.url("/feed.xml")})
    # Within the first transaction but one, and after one that the second worker has committed.
    crew.arm("pipeline.taken", made, "kill", count=2)
    app = Celery(broker=redis_url)
    app.conf.task_queues = [Queue(QueueName.FETCH, routing_key=QueueName.FETCH)]
    worker = start(crew)
    killed = 0

    def ended() -> bool:
        nonlocal worker, killed
        if worker.popen.poll() is not None:
            assert worker.popen.returncode == -signal.SIGKILL, worker.log[-3000:]
            killed += 1
            if killed == 1:
                crew.arm("pipeline.committed", made, "kill", count=2)
            with crew.database.session_scope() as session:
                run_out(session)
            worker = start(crew)
        app.send_task(TaskName.CHECK_PIPELINES, queue=QueueName.FETCH, ignore_result=True, expires=5)
        return bool(watch.runs(made)) and watch.runs(made)[0].finished_at is not None

    try:
        eventually(ended, within=300, every=0.3)
    finally:
        server.stop()
        app.close()
    jobs = watch.jobs(made)
    assert (killed, len(jobs), len({job.source["url"] for job in jobs})) == (2, 500, 500)
    assert {item.job_id for item in watch.items(made)} == {job.id for job in jobs}
    (run,) = watch.runs(made)
    assert (run.status, run.attempts, run.created) == ("completed", 3, 500)
    assert server.accepts == 3
