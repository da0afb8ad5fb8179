"""Workers that are killed, stopped, hung, asked to end, or whose job is canceled: what becomes of their jobs."""

import datetime
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.integration.shared.crew import Crew, picture, stopped
from tests.integration.shared.processes import Running, wait_until
from tests.pids import is_alive
from tests.servers import Servers

from pixmill_shared.domain.jobs import CancelOutcome
from pixmill_shared.repositories import jobs

#: Seconds. A lease that no test outlives: whose end is what is tested ends it by hand.
LEASE = 300.0
#: Renewed every third of it: within what a test waits, and long before it would end.
RENEWED = "18"
SHUTDOWN = 3.0


@pytest.fixture
def crew(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Crew]:
    settings = {"PIXMILL_LEASE": str(LEASE), "PIXMILL_SHUTDOWN_TIMEOUT": str(SHUTDOWN), "PIXMILL_MAX_ATTEMPTS": "3"}
    crew = Crew(servers, postgres_url, tmp_path, **settings)
    crew.execute("TRUNCATE jobs, renditions, dead_letters CASCADE")
    yield crew
    crew.close()


def submit_struck(crew: Crew, failpoint: str, action: str, **order: object) -> uuid.UUID:
    """No dispatcher runs yet, so the failpoint is armed before anyone can have the job; then one is started."""
    job_id = crew.submit()
    crew.arm(failpoint, job_id, action, **order)
    crew.dispatch()
    return job_id


def lease_of(crew: Crew, job_id: uuid.UUID) -> datetime.datetime:
    end = crew.job(job_id).lease_until
    assert end is not None, "nobody has it"
    return end


def end_lease(crew: Crew, job_id: uuid.UUID) -> None:
    assert crew.job(job_id).status == "processing"
    crew.execute(f"UPDATE jobs SET lease_until = clock_timestamp() WHERE id = '{job_id}'")


def cut_connections(crew: Crew) -> None:
    crew.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_long_job_is_worked_on_once_while_its_lease_is_renewed_also_after_connections_were_cut(crew: Crew) -> None:
    workers = [crew.worker(name, PIXMILL_LEASE=RENEWED) for name in ("one", "other")]
    job_id = submit_struck(crew, "output.made", "pause", seconds=600)
    strike = crew.struck(job_id)
    first = lease_of(crew, job_id)
    wait_until(lambda: lease_of(crew, job_id) > first, 60, "a renewal")
    cut_connections(crew)
    second = lease_of(crew, job_id)
    wait_until(lambda: lease_of(crew, job_id) > second, 60, "a renewal on another connection")
    strike["file"].unlink()
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 1, 1)
    assert crew.events(job_id) == ["job.completed"]
    assert all(worker.popen.poll() is None for worker in workers)


def test_job_of_a_killed_child_runs_again_though_its_lease_goes_on(crew: Crew) -> None:
    crew.worker("one")
    job_id = submit_struck(crew, "output.made", "kill")
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 2, 2)
    assert len(crew.strikes(job_id)) == 1
    assert crew.events(job_id) == ["job.completed"]


def test_job_of_a_killed_worker_runs_on_another_when_its_lease_ends(crew: Crew) -> None:
    workers = [crew.worker(name) for name in ("one", "other")]
    job_id = submit_struck(crew, "output.made", "kill-parent")
    crew.struck(job_id)
    dead = wait_until(lambda: [each for each in workers if each.popen.poll() is not None], 60, "the worker's end")
    end_lease(crew, job_id)
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 2, 2)
    assert len(dead) == 1
    assert crew.events(job_id) == ["job.completed"]


def test_job_whose_process_dies_each_time_fails_and_is_buried(crew: Crew) -> None:
    worker = crew.worker("one")
    job_id = submit_struck(crew, "body.opened", "segfault", keep=True)
    job = crew.ended(job_id)
    assert job.error is not None
    assert (job.status, job.attempts, job.error["code"]) == ("failed", 3, "attempts_exhausted")
    assert len(crew.strikes(job_id)) == 3
    (letter,) = crew.letters(job_id)
    assert (letter.attempts, letter.error["code"], letter.traceback) == (3, "attempts_exhausted", None)
    assert crew.events(job_id) == ["job.failed"]
    assert worker.popen.poll() is None


def test_job_that_hangs_past_the_hard_limit_is_tried_again_and_fails_with_its_code(crew: Crew) -> None:
    limits = {"PIXMILL_TASK_SOFT_TIME_LIMIT": "1", "PIXMILL_TASK_TIME_LIMIT": "2"}
    crew.worker("one", PIXMILL_MAX_ATTEMPTS="2", **limits)
    # Before anything else of it: what a slow machine takes until then may be longer than the limit.
    job_id = submit_struck(crew, "render.claimed", "sleep", keep=True)
    job = crew.ended(job_id, 150)
    assert job.error is not None
    assert (job.status, job.attempts, job.error["code"]) == ("failed", 2, "time_limit")
    assert crew.strikes(job_id), "it hung"
    (letter,) = crew.letters(job_id)
    assert (letter.attempts, letter.error["code"], letter.traceback) == (2, "time_limit", None)
    assert crew.events(job_id) == ["job.failed"]


def test_worker_that_stood_still_past_its_lease_writes_nothing_any_more(crew: Crew) -> None:
    slow = crew.worker("slow")
    job_id = submit_struck(crew, "finish.begun", "pause", seconds=600)
    strike = crew.struck(job_id)
    with stopped(slow):
        crew.worker("fast")
        end_lease(crew, job_id)
        job = crew.ended(job_id)
        kept = crew.outputs()
    strike["file"].unlink()
    assert (job.status, job.fence, job.attempts) == ("completed", 2, 2)
    wait_until(lambda: crew.outputs() != kept and len(crew.outputs()) == 1, 60, "the removal of what came too late")
    assert set(crew.outputs()) < set(kept)
    assert crew.job(job_id).finished_at == job.finished_at
    assert crew.events(job_id) == ["job.completed"]


def test_canceled_render_stops_at_its_next_step_and_leaves_nothing(crew: Crew) -> None:
    worker = crew.worker("one")
    steps = [{"op": "resize", "width": 800}, {"op": "filter", "name": "sharpen"}]
    outputs = [{"name": f"o{n}", "format": "avif", "quality": 20 + n, "operations": steps} for n in range(60)]
    job_id = crew.submit(data=picture(1600, 1200), outputs=outputs)
    crew.arm("output.stored", job_id, "pause", seconds=600)
    crew.arm("output.made", job_id, "pause", seconds=600, count=len(outputs) // 2)
    crew.dispatch()
    _cancel_and_go_on(crew, job_id, worker)
    wait_until(lambda: crew.outputs() == [], 60, "the removal of what was stored")
    assert crew.strikes(job_id) == [], "it stopped before half of the outputs were made"
    assert crew.events(job_id) == ["job.canceled"]
    assert crew.job(job_id).status == "canceled"


def test_canceled_animation_stops_between_its_frames(crew: Crew) -> None:
    worker = crew.worker("one")
    job_id = crew.submit(data=_long_animation(), outputs=[{"name": "moving", "format": "avif", "operations": []}])
    crew.arm("body.opened", job_id, "pause", seconds=600)
    crew.arm("output.made", job_id, "pause", seconds=600)
    crew.dispatch()
    _cancel_and_go_on(crew, job_id, worker)
    assert crew.strikes(job_id) == [], "it stopped before its one output was made"
    assert (crew.outputs(), crew.events(job_id)) == ([], ["job.canceled"])


def _cancel_and_go_on(crew: Crew, job_id: uuid.UUID, worker: Running) -> None:
    """While it pauses for the first time."""
    strike = crew.struck(job_id)
    with crew.database.session_scope() as session:
        assert jobs.cancel(session, job_id, "default") is CancelOutcome.CANCELED
    strike["file"].unlink()
    wait_until(lambda: "claim lost, stopped" in worker.log, 90, "the end of the render")


def _long_animation() -> bytes:
    import io

    from PIL import Image

    frames = [Image.effect_noise((700, 500), 90 + n).convert("RGB") for n in range(8)] * 10
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=40, quality=40, method=0)
    return file.getvalue()


@pytest.mark.parametrize("pool", [("-c", "2"), ("-P", "threads", "-c", "2")], ids=["prefork", "threads"])
def test_worker_that_is_asked_to_end_under_load_loses_no_job_and_counts_none_twice(
    crew: Crew, pool: tuple[str, ...]
) -> None:
    leaving = crew.worker("leaving", *pool)
    stuck = submit_struck(crew, "body.opened", "sleep", seconds=600)
    crew.struck(stuck)
    staying = crew.worker("staying", "-c", "2")
    staying.wait_ready(120)
    load = [crew.submit() for _ in range(60)]
    wait_until(lambda: sum(crew.job(each).status == "completed" for each in load) > 5, 60, "the first jobs")
    # Far less than the work that is stuck takes, or any lease.
    assert leaving.end(seconds=90) == 0, leaving.log[-3000:]
    for each in (*load, stuck):
        job = crew.ended(each)
        assert (job.status, job.attempts) == ("completed", 1)
        assert crew.events(each) == ["job.completed"]
    assert crew.job(stuck).fence == 2
    wait_until(lambda: not any(is_alive(strike["pid"]) for strike in crew.strikes(stuck)), 60, "the end of what hung")


def test_worker_ends_at_once_when_its_work_is_done(crew: Crew) -> None:
    worker = crew.worker("one", "-c", "2", PIXMILL_SHUTDOWN_TIMEOUT="300")
    job_id = submit_struck(crew, "output.made", "sleep", seconds=2)
    crew.struck(job_id)
    os.kill(worker.popen.pid, signal.SIGTERM)
    os.kill(worker.popen.pid, signal.SIGTERM)
    assert worker.end(seconds=90) == 0, "before its time was up"
    job = crew.job(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 1, 1)


def test_job_whose_end_the_database_refuses_is_done_again_when_it_does_not_and_is_not_blamed(crew: Crew) -> None:
    worker = crew.worker("one")
    job_id = submit_struck(crew, "finish.begun", "pause", seconds=600)
    strike = crew.struck(job_id)
    name = crew.database.url.rpartition("/")[2]
    _read_only(crew, name, "on")
    strike["file"].unlink()
    wait_until(lambda: "cannot keep leases, trying again" in worker.log, 60, "the refusal of what it hands back")
    _read_only(crew, name, "off")
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence, crew.letters(job_id)) == ("completed", 1, 2, [])
    assert crew.events(job_id) == ["job.completed"]


def _read_only(crew: Crew, name: str, state: str) -> None:
    with crew.database.session_scope() as session:
        session.execute(text("SET TRANSACTION READ WRITE"))
        session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}"))
    cut_connections(crew)
