"""Tasks without a row: how they end is recorded, tried again in its place, and told by a dead letter."""

import datetime
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text
from tests.integration.shared.clockwork import kept, send
from tests.integration.shared.crew import Crew
from tests.integration.shared.processes import Running, wait_until
from tests.servers import Servers

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import BeatRun, DeadLetter, TaskRecord
from pixmill_shared.domain.retries import TRIES_IN_PLACE
from pixmill_shared.errors import NotReplayable, PermanentError, TransientError
from pixmill_shared.plumbing.recorded import NotNow, outcome_of, run_recorded
from pixmill_shared.plumbing.ticked import run_ticked
from pixmill_shared.repositories import task_records
from pixmill_shared.repositories.task_records import KEPT, TaskRun
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.replay import replay

HEARTBEAT, CLEAN_UP = TaskName.RECORD_HEARTBEAT.value, TaskName.CLEAN_UP.value
AT = datetime.datetime(2026, 5, 1, 3, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    yield database
    database.dispose()


@pytest.fixture
def clients(database: Database) -> Runtime:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE task_records, beat_runs, dead_letters"))
    clients = Runtime(worker_name="worker@here")
    clients.database = database  # type: ignore[misc] # what is built at first use
    return clients


def some_run(entry: str | None = None, task: str = HEARTBEAT) -> TaskRun:
    return TaskRun(uuid.uuid4(), task, entry, "default", "worker@here")


def records(database: Database) -> list[TaskRecord]:
    with database.session_scope() as session:
        return list(session.scalars(select(TaskRecord).order_by(TaskRecord.id)))


def letters(database: Database) -> list[DeadLetter]:
    with database.session_scope() as session:
        return list(session.scalars(select(DeadLetter).order_by(DeadLetter.id)))


def ticks(database: Database) -> list[BeatRun]:
    with database.session_scope() as session:
        return list(session.scalars(select(BeatRun).order_by(BeatRun.scheduled_at)))


class Failing:
    """Raises these, one at each call, and then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> dict[str, Any] | None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return {"done": True}


def away(code: ErrorCode = ErrorCode.STORAGE_UNAVAILABLE) -> TransientError:
    return TransientError(code, "The storage did not answer.")


def test_what_fails_in_passing_is_tried_again_and_recorded_as_done(clients: Runtime, database: Database) -> None:
    body, run = Failing(away(), KeyError("a defect")), some_run()
    assert outcome_of(run_recorded(clients, run, None, body)) == {"done": True}
    (record,) = records(database)
    assert (record.task_id, record.task, record.state, record.attempts) == (run.task_id, HEARTBEAT, "succeeded", 3)
    assert (record.queue, record.worker, record.entry) == ("default", "worker@here", None)
    assert (record.result, record.error) == ({"done": True}, None)
    assert record.finished_at - record.started_at >= datetime.timedelta(seconds=0.5)
    assert letters(database) == []


def test_what_fails_each_time_becomes_one_letter_that_counts(clients: Runtime, database: Database) -> None:
    for minute in range(2):
        body, at = Failing(*[away()] * 9), AT + datetime.timedelta(minutes=minute)
        with pytest.raises(TransientError):
            run_ticked(clients, some_run("heartbeat"), "heartbeat", at, body)
        assert body.calls == TRIES_IN_PLACE
    assert [(each.state, each.entry, each.attempts) for each in records(database)] == [("failed", "heartbeat", 3)] * 2
    assert records(database)[0].error == {
        "code": "storage_unavailable",
        "title": "The storage did not answer",
        "detail": "The storage did not answer.",
        "retryable": True,
    }
    assert [each.error for each in ticks(database)] == [
        "TransientError: storage_unavailable: The storage did not answer."
    ] * 2
    (letter,) = letters(database)
    assert (letter.task, letter.project, letter.attempts) == (HEARTBEAT, None, 2 * TRIES_IN_PLACE)
    assert letter.payload == {"entry": "heartbeat"}
    assert "Traceback" in (letter.traceback or "")
    with database.session_scope() as session, pytest.raises(NotReplayable, match="POST /api/v1/tasks/record_heartbeat"):
        replay(session, letter.id, None, by="a test")


@pytest.mark.parametrize(
    ("error", "code", "calls"),
    [
        (PermanentError(ErrorCode.TOO_LARGE, "It is too large."), "too_large", 1),
        (ValueError("postgresql://app:secret@db"), "internal_error", TRIES_IN_PLACE),
    ],
    ids=["permanent", "defect"],
)
def test_failure_is_tried_as_often_as_it_may_help(
    clients: Runtime, database: Database, error: Exception, code: str, calls: int
) -> None:
    body = Failing(*[error] * 9)
    with pytest.raises(type(error)):
        run_ticked(clients, some_run("heartbeat"), "heartbeat", AT, body)
    (record,), (letter,) = records(database), letters(database)
    assert (body.calls, record.attempts, record.state) == (calls, calls, "failed")
    assert record.error is not None
    assert record.error["code"] == letter.error["code"] == code
    (tick,) = ticks(database)
    assert (tick.error or "").startswith(type(error).__name__)
    assert "secret" not in json.dumps([record.error, tick.error])


def test_what_cannot_run_now_leaves_a_tick_undone_and_no_record(clients: Runtime, database: Database) -> None:
    assert run_ticked(clients, some_run("cleanup-old-data"), "cleanup-old-data", AT, Failing(NotNow("busy"))) is None
    assert (records(database), letters(database)) == ([], [])
    (tick,) = ticks(database)
    assert (tick.finished_at is not None, tick.error) == (True, "busy")


OLD = """
    INSERT INTO task_records (id, task_id, task, worker, state, attempts, started_at, finished_at)
    SELECT ('0193' || lpad(to_hex(n), 28, '0'))::uuid, gen_random_uuid(), 'old', '', 'succeeded', 1, now(), now()
    FROM generate_series(:first, :last) AS n
"""


def test_last_thousand_of_each_state_are_kept(clients: Runtime, database: Database) -> None:
    failure = {"code": "internal_error", "title": "t", "detail": "d", "retryable": True}
    with database.session_scope() as session:
        task_records.keep(session, some_run(), attempts=1, seconds=0.1, error=failure)
        session.execute(text(OLD), {"first": 101, "last": 100 + KEPT})
        for _ in range(3):
            task_records.keep(session, some_run(), attempts=1, seconds=0.1)
    found = records(database)
    assert [each.state for each in found] == ["succeeded"] * (KEPT - 3) + ["failed"] + ["succeeded"] * 3
    assert found[0].id.int & 0xFFFF == 104
    # However many are too many: each that comes takes a few of them away.
    with database.session_scope() as session:
        session.execute(text(OLD), {"first": 20_001, "last": 20_304})
        task_records.keep(session, some_run(), attempts=1, seconds=0.1)
    assert len(records(database)) == 1 + KEPT + 304 + 1 - 100


@pytest.fixture(scope="module")
def crew(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    crew = Crew(servers, postgres_url, tmp_path_factory.mktemp("crew"))
    crew.objects.mkdir()
    yield crew
    crew.close()


@pytest.fixture(scope="module")
def worker(crew: Crew) -> Running:
    running = crew.fleet.worker("worker", "pixmill_shared.celery_app", "-Q", "default,maintenance", "-c", "2")
    running.wait_ready(120)
    return running


def test_tick_is_recorded_by_a_worker_and_its_result_is_kept_for_an_hour(
    crew: Crew, clients: Runtime, database: Database, worker: Running
) -> None:
    task_id = send(crew.fleet.environment["REDIS_URL"], "cleanup-old-data", CLEAN_UP, "maintenance", AT)
    (record,) = wait_until(lambda: records(database), 60, "the record")
    assert (str(record.task_id), record.entry, record.queue) == (task_id, "cleanup-old-data", "maintenance")
    assert (record.state, record.attempts) == ("succeeded", 1)
    assert record.worker.startswith("worker@")
    result, seconds = kept(crew.fleet.environment["REDIS_URL"], task_id)
    assert (result["status"], result["result"]) == ("SUCCESS", record.result)
    assert 3500 < seconds <= 3600
    (tick,) = ticks(database)
    assert (tick.error, tick.result) == (None, record.result)
    (line,) = [line for line in worker.log.splitlines() if "task done" in line]
    for bound in (f"task_id={task_id}", f"task={CLEAN_UP}", "entry=cleanup-old-data", "attempt=1", "ms="):
        assert bound in line


def test_tick_whose_process_is_killed_is_recorded_as_failed(
    crew: Crew, clients: Runtime, database: Database, worker: Running
) -> None:
    (crew.failpoints / "tick.claimed@heartbeat").write_text(json.dumps({"action": "kill"}))
    task_id = send(crew.fleet.environment["REDIS_URL"], "heartbeat", HEARTBEAT, "default", AT)
    (record,) = wait_until(lambda: records(database), 60, "the record")
    assert (str(record.task_id), record.state, record.entry) == (task_id, "failed", "heartbeat")
    assert record.error is not None
    assert record.error["code"] == "attempts_exhausted"
    (letter,), (tick,) = letters(database), ticks(database)
    assert (letter.payload, letter.traceback) == ({"entry": "heartbeat"}, None)
    assert tick.error is not None
    assert kept(crew.fleet.environment["REDIS_URL"], task_id)[0]["status"] == "FAILURE"
