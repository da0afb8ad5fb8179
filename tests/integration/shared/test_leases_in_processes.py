"""Workers that are killed, stopped, hung, asked to end, or whose job is canceled: what becomes of their jobs."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.integration.shared.crew import Crew, picture, stopped
from tests.integration.shared.processes import wait_until
from tests.servers import Servers

from pixmill_shared.domain.jobs import CancelOutcome
from pixmill_shared.repositories import jobs

LEASE = 2.0
SHUTDOWN = 3.0
#: A lease that no test outlives: what is done within it was not done by its end.
LONG = "300"


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


def test_long_job_is_worked_on_once_while_its_lease_is_renewed(crew: Crew) -> None:
    workers = [crew.worker(name) for name in ("one", "other")]
    job_id = submit_struck(crew, "output.made", "sleep", seconds=LEASE * 3)
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 1, 1)
    assert len(crew.strikes(job_id)) == 1
    assert crew.events(job_id) == ["job.completed"]
    assert all(worker.popen.poll() is None for worker in workers)


def test_renewal_goes_on_after_its_connection_was_cut(crew: Crew) -> None:
    crew.worker("one")
    job_id = submit_struck(crew, "output.made", "sleep", seconds=LEASE * 3)
    crew.struck(job_id)
    for _ in range(3):
        with crew.database.session_scope() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        time.sleep(LEASE / 4)
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 1, 1)


def test_job_of_a_killed_child_runs_again_long_before_its_lease_ends(crew: Crew) -> None:
    crew.worker("one", PIXMILL_LEASE=LONG)
    job_id = submit_struck(crew, "output.made", "kill")
    crew.struck(job_id)
    struck = time.monotonic()
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 2, 2)
    assert time.monotonic() - struck < 15
    assert crew.events(job_id) == ["job.completed"]


def test_job_of_a_killed_worker_runs_on_another_when_its_lease_ends(crew: Crew) -> None:
    workers = [crew.worker(name) for name in ("one", "other")]
    job_id = submit_struck(crew, "output.made", "kill-parent")
    crew.struck(job_id)
    struck = time.monotonic()
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 2, 2)
    assert time.monotonic() - struck < LEASE + 12
    assert len([worker for worker in workers if worker.popen.poll() is not None]) == 1


def test_job_whose_process_dies_each_time_fails_and_is_buried(crew: Crew) -> None:
    worker = crew.worker("one", PIXMILL_LEASE=LONG)
    job_id = submit_struck(crew, "body.opened", "segfault", keep=True)
    job = crew.ended(job_id, 60)
    assert job.error is not None
    assert (job.status, job.attempts, job.error["code"]) == ("failed", 3, "attempts_exhausted")
    assert len(crew.strikes(job_id)) == 3
    (letter,) = crew.letters(job_id)
    assert (letter.attempts, letter.error["code"], letter.traceback) == (3, "attempts_exhausted", None)
    assert crew.events(job_id) == ["job.failed"]
    assert worker.popen.poll() is None


def test_job_that_hangs_past_the_hard_limit_is_tried_again_and_fails_with_its_code(crew: Crew) -> None:
    limits = {"PIXMILL_TASK_SOFT_TIME_LIMIT": "1", "PIXMILL_TASK_TIME_LIMIT": "2"}
    crew.worker("one", PIXMILL_LEASE=LONG, PIXMILL_MAX_ATTEMPTS="2", **limits)
    job_id = submit_struck(crew, "body.opened", "sleep", keep=True)
    job = crew.ended(job_id, 60)
    assert job.error is not None
    assert (job.status, job.attempts, job.error["code"]) == ("failed", 2, "time_limit")
    assert len(crew.strikes(job_id)) == 2
    (letter,) = crew.letters(job_id)
    assert (letter.attempts, letter.error["code"], letter.traceback) == (2, "time_limit", None)
    assert crew.events(job_id) == ["job.failed"]


def test_worker_that_stood_still_past_its_lease_writes_nothing_any_more(crew: Crew) -> None:
    slow = crew.worker("slow")
    job_id = submit_struck(crew, "finish.begun", "pause")
    strike = crew.struck(job_id)
    with stopped(slow):
        crew.worker("fast")
        job = crew.ended(job_id)
        kept = crew.outputs()
    strike["file"].unlink()
    assert (job.status, job.fence, job.attempts) == ("completed", 2, 2)
    wait_until(lambda: crew.outputs() != kept and len(crew.outputs()) == 1, 20, "the removal of what came too late")
    assert set(crew.outputs()) < set(kept)
    assert crew.job(job_id).finished_at == job.finished_at
    assert crew.events(job_id) == ["job.completed"]


def test_canceled_render_stops_at_its_next_step_and_leaves_nothing(crew: Crew) -> None:
    worker = crew.worker("one")
    crew.dispatch()
    steps = [{"op": "resize", "width": 800}, {"op": "filter", "name": "sharpen"}]
    outputs = [{"name": f"o{n}", "format": "avif", "quality": 20 + n, "operations": steps} for n in range(60)]
    job_id = crew.submit(data=picture(1600, 1200), outputs=outputs)
    wait_until(lambda: len(crew.outputs()) > 1, 40, "the first outputs")
    asked = time.monotonic()
    with crew.database.session_scope() as session:
        assert jobs.cancel(session, job_id, "default") is CancelOutcome.CANCELED
    wait_until(lambda: "claim lost, stopped" in worker.log, 20, "the end of the render")
    took = time.monotonic() - asked
    wait_until(lambda: crew.outputs() == [], 10, "the removal of what was stored")
    assert took < 2
    assert crew.events(job_id) == ["job.canceled"]
    assert crew.job(job_id).status == "canceled"


def test_canceled_animation_stops_between_its_frames(crew: Crew) -> None:
    worker = crew.worker("one")
    crew.dispatch()
    job_id = crew.submit(data=_long_animation(), outputs=[{"name": "moving", "format": "avif", "operations": []}])
    wait_until(lambda: crew.job(job_id).status == "processing", 20, "the claim")
    time.sleep(1)
    asked = time.monotonic()
    with crew.database.session_scope() as session:
        assert jobs.cancel(session, job_id, "default") is CancelOutcome.CANCELED
    wait_until(lambda: "claim lost, stopped" in worker.log, 30, "the end of the render")
    assert time.monotonic() - asked < 2
    assert (crew.outputs(), crew.events(job_id)) == ([], ["job.canceled"])


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
    leaving = crew.worker("leaving", *pool, PIXMILL_LEASE=LONG)
    stuck = submit_struck(crew, "body.opened", "sleep", seconds=600)
    crew.struck(stuck)
    staying = crew.worker("staying", "-c", "2", PIXMILL_LEASE=LONG)
    staying.wait_ready(120)
    load = [crew.submit() for _ in range(60)]
    wait_until(lambda: sum(crew.job(each).status == "completed" for each in load) > 5, 40, "the first jobs")
    asked = time.monotonic()
    assert leaving.end(seconds=SHUTDOWN + 15) == 0, leaving.log[-3000:]
    assert time.monotonic() - asked < SHUTDOWN + 8
    waited = []
    for each in (*load, stuck):
        job = crew.ended(each)
        assert (job.status, job.attempts) == ("completed", 1)
        assert crew.events(each) == ["job.completed"]
    waited.append(time.monotonic() - asked)
    assert crew.job(stuck).fence == 2
    assert max(waited) < SHUTDOWN + 20
    assert not any(Path(f"/proc/{strike['pid']}").exists() for strike in crew.strikes(stuck))


def test_worker_ends_at_once_when_its_work_is_done(crew: Crew) -> None:
    worker = crew.worker("one", "-c", "2", PIXMILL_SHUTDOWN_TIMEOUT="60")
    job_id = submit_struck(crew, "output.made", "sleep", seconds=2)
    crew.struck(job_id)
    asked = time.monotonic()
    os.kill(worker.popen.pid, signal.SIGTERM)
    os.kill(worker.popen.pid, signal.SIGTERM)
    assert worker.end() == 0
    assert time.monotonic() - asked < 15
    job = crew.job(job_id)
    assert (job.status, job.attempts, job.fence) == ("completed", 1, 1)


def test_job_whose_end_the_database_refuses_is_done_again_when_it_does_not_and_is_not_blamed(crew: Crew) -> None:
    crew.worker("one", PIXMILL_LEASE=LONG)
    job_id = submit_struck(crew, "finish.begun", "pause")
    strike = crew.struck(job_id)
    name = crew.database.url.rpartition("/")[2]
    _read_only(crew, name, "on")
    strike["file"].unlink()
    time.sleep(3)
    _read_only(crew, name, "off")
    job = crew.ended(job_id)
    assert (job.status, job.attempts, job.fence, crew.letters(job_id)) == ("completed", 1, 2, [])
    assert crew.events(job_id) == ["job.completed"]


def _read_only(crew: Crew, name: str, state: str) -> None:
    with crew.database.session_scope() as session:
        session.execute(text("SET TRANSACTION READ WRITE"))
        session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}"))
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
