"""A worker's pool follows what waits, ends no job when it shrinks, and its row tells of it."""

import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.integration.shared.crew import Crew, stopped
from tests.integration.shared.processes import Running, wait_until
from tests.servers import Servers

from pixmill_shared.database.models import Job, Worker
from pixmill_shared.repositories import workers

pytestmark = pytest.mark.timeout(400)

SETTINGS = {
    # Little has waited only once nothing does: no process is taken away that the rest of the burst needs.
    "QUEUE_THRESHOLD": "2",
    "PIXMILL_SCALE_COOL_DOWN": "1",
    "MEMORY_THRESHOLD": "100",
    # A slow machine may take long for the burst; that is not what is tried.
    "PIXMILL_SCALE_OLDEST": "3600",
}
FEW, MANY = 2, 5


@pytest.fixture
def crew(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(servers, postgres_url, tmp_path, REDIS_URL=redis_url, **SETTINGS)
    crew.execute("TRUNCATE jobs, workers, renditions CASCADE")
    yield crew
    crew.close()


@pytest.fixture
def worker(crew: Crew) -> Running:
    return crew.worker("imaging", f"--autoscale={MANY},{FEW}")


def row(crew: Crew) -> Worker:
    with crew.database.session_scope() as session:
        return session.scalars(select(Worker)).one()


def of_all(crew: Crew) -> set[tuple[str, int]]:
    with crew.database.session_scope() as session:
        return {(job.status, job.attempts) for job in session.scalars(select(Job))}


def test_burst_grows_the_pool_at_once_and_calm_shrinks_it_without_ending_a_job(crew: Crew, worker: Running) -> None:
    worker.wait_ready(120)
    assert len(worker.children) == FEW
    # What the worker sees of them first is all of them: little by little, it could grow step by step.
    with stopped(worker):
        held = [crew.submit() for _ in range(MANY - 1)]
        for job_id in held:
            crew.arm("render.claimed", job_id, "pause", seconds=300)
        others = [crew.submit() for _ in range(30)]
    wait_until(lambda: len(worker.children) == MANY, 120, "the growth")
    crew.dispatch()
    # Each new process imports what renders before its first job: five at once take long on a busy machine.
    pauses = [crew.struck(job_id, 150) for job_id in held]
    assert len({pause["pid"] for pause in pauses}) == MANY - 1
    for job_id in others:
        crew.ended(job_id, 120)
    wait_until(lambda: len(worker.children) == MANY - 1, 120, "that the one without work was spared")
    # All have work: they are kept, through a few times the cool-down.
    until = time.monotonic() + 3
    wait_until(lambda: len(worker.children) != MANY - 1 or time.monotonic() > until, 10, "that time passes")
    assert len(worker.children) == MANY - 1
    for pause in pauses:
        pause["file"].unlink()
    assert [crew.ended(job_id).status for job_id in held] == ["completed"] * len(held)
    wait_until(lambda: len(worker.children) == FEW, 120, "the way back")
    assert of_all(crew) == {("completed", 1)}
    assert worker.metric("pixmill_pool_steps_total", 'reason="emergency"') == 1
    # A process may be gone a moment before it is counted.
    wait_until(lambda: worker.metric("pixmill_pool_processes") == FEW, 60, "the count of the processes")
    assert worker.metric("pixmill_pool_steps_total", 'reason="quiet"') == MANY - FEW


def test_worker_has_a_row_whose_bounds_an_operator_may_change_until_it_leaves(crew: Crew, worker: Running) -> None:
    worker.wait_ready(120)
    seen = wait_until(lambda: _rows(crew), 60, "the worker's row")[0]
    assert seen.name.startswith("imaging@")
    assert (seen.queues, seen.pool, seen.size, seen.least, seen.most) == (["imaging"], "prefork", FEW, FEW, MANY)
    assert seen.resident_bytes > 50_000_000
    with crew.database.session_scope() as session:
        assert workers.want(session, seen.name, 4, 4) is not None
        assert workers.want(session, f"nobody-{uuid.uuid4()}@nowhere", 4, 4) is None
    wait_until(lambda: len(worker.children) == 4, 60, "what was wanted")
    wait_until(lambda: (row(crew).least, row(crew).most, row(crew).size) == (4, 4, 4), 60, "the row says so")
    with crew.database.session_scope() as session:
        workers.want(session, seen.name, None, None)
    wait_until(lambda: len(worker.children) == FEW, 90, "its own bounds again")
    assert worker.end(signal.SIGTERM, 60) == 0
    assert _rows(crew) == []


def _rows(crew: Crew) -> list[Worker]:
    with crew.database.session_scope() as session:
        return list(session.scalars(select(Worker)))
