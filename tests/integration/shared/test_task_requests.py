"""Tasks that people ask for, on real workers: claimed, run once, tried again, one maintenance at a time."""

import contextlib
import datetime
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import select, text
from tests.integration.shared.crew import Crew
from tests.integration.shared.processes import Running, wait_until
from tests.plans.asking import recording
from tests.plans.explaining import Explainer
from tests.servers import Servers

from pixmill_shared.contract.queues import Priority
from pixmill_shared.contract.requests import requestable
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter, TaskRequest
from pixmill_shared.dispatcher.outlets import BrokerOutlet, Message
from pixmill_shared.plumbing.config import declared_queues
from pixmill_shared.repositories import task_requests
from pixmill_shared.service.replay import replay
from pixmill_shared.settings.work import WorkSettings

SHARED = "pixmill_shared.celery_app"
CLEAN_UP, HEARTBEAT = TaskName.CLEAN_UP, TaskName.RECORD_HEARTBEAT
ENDED = ("completed", "failed")
#: Seconds. A lease that no test outlives: whose end is what is tested ends it by hand.
LEASE = "300"
#: Renewed every third of it: within what a test waits, and long before it would end.
RENEWED = "18"


@pytest.fixture
def crew(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Crew]:
    settings = {"PIXMILL_LEASE": LEASE, "PIXMILL_SHUTDOWN_TIMEOUT": "3"}
    crew = Crew(servers, postgres_url, tmp_path, **settings)
    crew.execute("TRUNCATE task_requests, dead_letters, service_health CASCADE")
    (tmp_path / "objects").mkdir()
    yield crew
    crew.close()


def worker(crew: Crew, name: str = "worker", queues: str = "default,default.high,maintenance") -> Running:
    return crew.fleet.worker(name, SHARED, "-Q", queues, "-c", "3")


def asked(
    crew: Crew, task: TaskName, priority: Priority = Priority.NORMAL, strike: str = "", **order: Any
) -> uuid.UUID:
    """A row; ``strike``: a failpoint, armed before anyone can have it."""
    known = requestable(task)
    assert known is not None
    with crew.database.session_scope() as session:
        made = task_requests.insert(session, known, {}, project="p", priority=priority, requested_by="a test")
        if strike:
            crew.arm(strike, made, **order)
    return made


def runs(running: Running, task: TaskName) -> float:
    """Messages of the task that the worker has dealt with."""
    return running.metric("pixmill_tasks_total", f'task="{task}"', 'outcome="succeeded"')


def published(crew: Crew, message: Message) -> None:
    """By nobody's row."""
    app = Celery(broker=crew.fleet.environment["REDIS_URL"], set_as_current=False)
    app.conf.task_queues = declared_queues()
    outlet = BrokerOutlet(app, WorkSettings())
    outlet.publish([message])
    outlet.disconnect()


def row(database: Database, request_id: uuid.UUID) -> TaskRequest:
    with database.session_scope() as session:
        return session.get_one(TaskRequest, request_id)


def ended(crew: Crew, request_id: uuid.UUID, seconds: float = 60) -> TaskRequest:
    wait_until(lambda: row(crew.database, request_id).status in ENDED, seconds, "the end of the task")
    return row(crew.database, request_id)


def lease_of(crew: Crew, request_id: uuid.UUID) -> datetime.datetime:
    end = row(crew.database, request_id).lease_until
    assert end is not None, "nobody has it"
    return end


def test_task_that_was_asked_for_runs_once_and_its_result_is_kept(crew: Crew) -> None:
    running = worker(crew)
    crew.dispatch()
    found = ended(crew, asked(crew, CLEAN_UP))
    assert (found.status, found.attempts, found.fence, found.error) == ("completed", 1, 1, None)
    assert found.result is not None
    assert found.result["objects"]["deleted"] == 0
    assert found.started_at is not None
    assert found.finished_at is not None
    wait_until(lambda: runs(running, CLEAN_UP) == 1, 60, "the count of the run")


def test_priority_high_goes_by_a_queue_of_its_own_and_others_keep_theirs(crew: Crew) -> None:
    high = worker(crew, queues="default.high")
    crew.dispatch()
    waiting, first = asked(crew, HEARTBEAT), asked(crew, HEARTBEAT, Priority.HIGH)
    assert ended(crew, first).queue == "default.high"
    kept = asked(crew, CLEAN_UP, Priority.HIGH)
    assert (row(crew.database, kept).queue, row(crew.database, kept).priority) == ("maintenance", 0)
    assert row(crew.database, waiting).status == "queued"
    wait_until(lambda: runs(high, HEARTBEAT) == 1, 60, "the count of the run")


def test_task_of_a_killed_worker_runs_again_on_another_and_once(crew: Crew) -> None:
    doomed = worker(crew, "doomed")
    crew.dispatch()
    made = asked(crew, HEARTBEAT, strike="request.claimed", action="pause", seconds=600)
    crew.struck(made, 60)
    assert row(crew.database, made).status == "processing"
    for pid in (doomed.popen.pid, *doomed.children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    worker(crew, "heir")
    crew.execute(f"UPDATE task_requests SET lease_until = clock_timestamp() WHERE id = '{made}'")
    found = ended(crew, made, 120)
    assert (found.status, found.attempts, found.fence) == ("completed", 2, 2)


def test_lease_of_a_long_task_is_renewed(crew: Crew) -> None:
    crew.fleet.environment["PIXMILL_LEASE"] = RENEWED
    worker(crew)
    worker(crew, "other")
    crew.dispatch()
    made = asked(crew, HEARTBEAT, strike="request.claimed", action="pause", seconds=600)
    strike = crew.struck(made)
    first = lease_of(crew, made)
    wait_until(lambda: lease_of(crew, made) > first, 60, "a renewal")
    strike["file"].unlink()
    found = ended(crew, made)
    assert (found.status, found.attempts, found.fence) == ("completed", 1, 1)


def test_second_clean_up_waits_as_a_row_until_the_first_has_ended(crew: Crew) -> None:
    running = worker(crew)
    crew.dispatch()
    first = asked(crew, CLEAN_UP, strike="request.claimed", action="pause", seconds=600)
    strike = crew.struck(first, 60)
    second = asked(crew, CLEAN_UP)
    put_off = wait_until(lambda: (now := row(crew.database, second)).run_at and now, 60, "being put off")
    assert (put_off.status, put_off.attempts) == ("queued", 0)
    # It holds no slot: others run.
    assert ended(crew, asked(crew, HEARTBEAT)).status == "completed"
    assert row(crew.database, first).status == "processing"
    strike["file"].unlink()
    assert ended(crew, first).status == "completed"
    late = ended(crew, second)
    assert (late.status, late.attempts) == ("completed", 1)
    assert late.started_at >= row(crew.database, first).finished_at  # type: ignore[operator]
    assert running.popen.poll() is None


def test_task_that_fails_for_good_becomes_a_dead_letter_that_can_be_replayed(crew: Crew) -> None:
    crew.fleet.environment["PIXMILL_MAX_ATTEMPTS"] = "1"
    crew.fleet.environment["PIXMILL_OUTAGE_PATIENCE"] = "0"
    worker(crew)
    crew.dispatch()
    # The storage is no directory: what it holds cannot be listed.
    crew.objects.rmdir()
    crew.objects.write_text("no directory")
    found = ended(crew, asked(crew, CLEAN_UP))
    assert (found.status, found.attempts) == ("failed", 1)
    assert found.error is not None
    assert found.error["code"] == "storage_unavailable"
    with crew.database.session_scope() as session:
        (letter,) = session.scalars(select(DeadLetter)).all()
    assert (letter.task, letter.project) == (CLEAN_UP, "p")
    assert letter.payload == {"task_request_id": str(found.id)}
    crew.objects.unlink()
    crew.objects.mkdir()
    with crew.database.session_scope() as session:
        replayed = replay(session, letter.id, None, by="a test")
    assert replayed is not None
    assert replayed.kind == "task"
    again = ended(crew, replayed.id)
    assert (again.status, again.requested_by) == ("completed", "a test")


def test_task_whose_process_dies_each_time_is_given_up(crew: Crew) -> None:
    crew.fleet.environment["PIXMILL_MAX_ATTEMPTS"] = "2"
    worker(crew)
    crew.dispatch()
    found = ended(crew, asked(crew, HEARTBEAT, strike="request.claimed", action="kill", keep=True), 120)
    assert (found.status, found.attempts) == ("failed", 2)
    assert found.error is not None
    assert found.error["code"] == "attempts_exhausted"
    with crew.database.session_scope() as session:
        assert session.scalar(select(DeadLetter.payload)) == {"task_request_id": str(found.id)}


def test_doubled_message_of_a_task_that_has_ended_does_nothing(crew: Crew) -> None:
    running = worker(crew)
    crew.dispatch()
    made = asked(crew, HEARTBEAT)
    ended(crew, made)
    with crew.database.session_scope() as session:
        session.execute(text("UPDATE service_health SET checked_at = 'epoch'"))
    published(crew, Message("default", HEARTBEAT, {}, str(made)))
    wait_until(lambda: runs(running, HEARTBEAT) == 2, 60, "the second message")
    with crew.database.session_scope() as session:
        assert session.scalar(text("SELECT extract(epoch FROM checked_at) FROM service_health")) == 0
    assert row(crew.database, made).fence == 1


def test_task_that_may_run_longer_than_others_keeps_its_claim(crew: Crew) -> None:
    limit, lease = 2, 2
    crew.fleet.environment |= {"PIXMILL_TASK_TIME_LIMIT": str(limit), "PIXMILL_TASK_SOFT_TIME_LIMIT": "1"}
    crew.fleet.environment["PIXMILL_LEASE"] = str(lease)
    worker(crew).wait_ready()
    # Without a dispatcher nobody looks for leases that have run out: the worker may stand still for a while.
    made = asked(crew, CLEAN_UP, strike="request.claimed", action="pause", seconds=600)
    published(crew, Message("maintenance", CLEAN_UP, {}, str(made)))
    strike = crew.struck(made)
    begun = row(crew.database, made).started_at
    assert begun is not None
    # Beyond the limit of others, a lease, and another one: as far as a claim of theirs is never renewed.
    beyond = begun + datetime.timedelta(seconds=limit + 2 * lease + 1)
    wait_until(lambda: lease_of(crew, made) > beyond, 60, "a renewal that others do not get")
    strike["file"].unlink()
    found = ended(crew, made)
    assert (found.status, found.attempts, found.fence) == ("completed", 1, 1)


def test_maintenance_of_beat_is_left_out_while_other_maintenance_is_under_way(crew: Crew) -> None:
    running = worker(crew)
    crew.dispatch()
    strike = crew.struck(asked(crew, CLEAN_UP, strike="request.claimed", action="pause", seconds=600), 60)
    published(crew, Message("maintenance", CLEAN_UP, {}))
    wait_until(lambda: "leaving this to the next tick" in running.log, 60, "the tick to be left out")
    assert '"what": "objects"' not in running.log
    strike["file"].unlink()


def test_page_of_a_project_and_a_status_reads_no_rows_of_others(postgres_url: str) -> None:
    many = """
        INSERT INTO task_requests (id, project, task, queue, status, requested_by)
        SELECT gen_random_uuid(), project, 't', 'q', status, 'a test'
        FROM (VALUES ('this', 'completed'), ('another', 'failed')) AS of(project, status), generate_series(1, 4000)
    """
    with recording() as sent, contextlib.closing(Explainer(postgres_url)) as explainer:
        database = Database(postgres_url, pool_size=1, max_overflow=0)
        with database.session_scope() as session:
            session.execute(text("TRUNCATE task_requests"))
            session.execute(text(many))
            session.execute(text("ANALYZE task_requests"))
        sent.clear()
        with database.session_scope() as session:
            assert task_requests.page(session, limit=50, before=None, status="failed", project="this") == []
        database.dispose()
        looked_at = [plan.looked_at["task_requests"] for plan in explainer.plans(sent)]
    assert looked_at == [0]
