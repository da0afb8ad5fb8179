"""How a stage ends that raises: what is written, and what is not, on a real Postgres."""

import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.database.models import DeadLetter, Delivery, Job, JobEvent
from pixmill_shared.domain.jobs import CancelOutcome, Stage
from pixmill_shared.errors import OutageError, PermanentError, TransientError
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.claims import Check
from pixmill_shared.service.exhaustion import give_up_job

Body = Callable[[jobs.ClaimedJob, Check], None]


@pytest.fixture
def runtime(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("PIXMILL_MAX_ATTEMPTS", "3")
    runtime = Runtime(rng=random.Random(1))
    with runtime.database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters CASCADE"))
    yield runtime
    runtime.database.dispose()


def submit(runtime: Runtime) -> uuid.UUID:
    new = jobs.NewJob(
        project="default",
        stage=Stage.RENDER,
        queue=QueueName.IMAGING,
        priority=1,
        source={"upload_id": "u"},
        source_key="uploads/u",
        recipe={"outputs": []},
        webhook_url="https://example.com/hook",
    )
    with runtime.database.session_scope() as session:
        return jobs.insert(session, new)


def run(runtime: Runtime, job_id: uuid.UUID, body: Body) -> None:
    run_stage(runtime, str(job_id), Stage.RENDER, TaskName.RENDER_JOB, body)


def raising(error: BaseException) -> Body:
    def body(_job: jobs.ClaimedJob, _check: Check) -> None:
        raise error

    return body


def make_due(runtime: Runtime) -> None:
    with runtime.database.session_scope() as session:
        session.execute(text("UPDATE jobs SET run_at = NULL"))


def put_off(runtime: Runtime) -> None:
    """What waits, waits long."""
    with runtime.database.session_scope() as session:
        session.execute(text("UPDATE jobs SET run_at = now() + interval '1 hour' WHERE run_at IS NOT NULL"))


def state(runtime: Runtime) -> tuple[Job, list[str], int, list[DeadLetter]]:
    """The job, the types of its events, how many deliveries there are, and the dead letters."""
    with runtime.database.session_scope() as session:
        events = list(session.scalars(select(JobEvent.type)))
        waiting = len(session.scalars(select(Delivery)).all())
        return session.scalars(select(Job)).one(), events, waiting, list(session.scalars(select(DeadLetter)))


def error_of(job: Job) -> dict[str, Any]:
    assert job.error is not None
    return job.error


def test_permanent_error_fails_at_once_and_tells_so(runtime: Runtime) -> None:
    error = PermanentError(ErrorCode.UNDECODABLE, "The image is cut off.")
    run(runtime, submit(runtime), raising(error))
    job, events, deliveries, letters = state(runtime)
    assert (job.status, job.attempts, job.run_at, job.stage, job.lease_until) == ("failed", 1, None, None, None)
    assert error_of(job) == {
        "code": "undecodable",
        "title": "The image is damaged and cannot be decoded",
        "detail": "The image is cut off.",
        "retryable": False,
    }
    assert job.finished_at is not None
    assert (events, deliveries, letters) == (["job.failed"], 1, [])


def test_transient_error_is_tried_again_later_and_at_last_buried(runtime: Runtime) -> None:
    job_id = submit(runtime)
    error = TransientError(ErrorCode.SOURCE_TIMEOUT, "example.com took too long.")
    for number in (1, 2):
        run(runtime, job_id, raising(error))
        job, events, deliveries, letters = state(runtime)
        assert (job.status, job.attempts, job.stage) == ("queued", number, "render")
        assert job.run_at is not None
        assert error_of(job)["code"] == "source_timeout"
        assert (events, deliveries, letters) == ([], 0, [])
        put_off(runtime)
        run(runtime, job_id, raising(AssertionError("it ran before its time")))
        assert error_of(state(runtime)[0])["code"] == "source_timeout"
        make_due(runtime)
    run(runtime, job_id, raising(error))
    job, events, deliveries, (letter,) = state(runtime)
    assert (job.status, job.attempts, error_of(job)["code"]) == ("failed", 3, "source_timeout")
    assert (events, deliveries) == (["job.failed"], 1)
    assert (letter.task, letter.payload, letter.attempts) == (TaskName.RENDER_JOB, {"job_id": str(job_id)}, 3)
    assert letter.error["code"] == "source_timeout"
    assert "TransientError" in str(letter.traceback)


def test_wish_to_wait_is_a_lower_bound(runtime: Runtime) -> None:
    with runtime.database.session_scope() as session:
        before = session.scalar(text("SELECT clock_timestamp()"))
    run(runtime, submit(runtime), raising(TransientError(ErrorCode.SOURCE_UNREACHABLE, "Busy.", retry_after=90)))
    sql = "SELECT run_at >= :before + interval '90 s', run_at <= clock_timestamp() + interval '90 s' FROM jobs"
    with runtime.database.session_scope() as session:
        assert tuple(session.execute(text(sql), {"before": before}).one()) == (True, True)


def test_unexpected_error_is_tried_again_and_its_traceback_kept(runtime: Runtime) -> None:
    job_id = submit(runtime)

    def body(_job: jobs.ClaimedJob, _check: Check) -> None:
        raise KeyError("a defect with a \0 and a \ud800 in its message")

    for _ in range(3):
        run(runtime, job_id, body)
        make_due(runtime)
    job, events, deliveries, (letter,) = state(runtime)
    assert (job.status, error_of(job)["code"]) == ("failed", "internal_error")
    assert "defect" not in error_of(job)["detail"]
    assert (events, deliveries) == (["job.failed"], 1)
    assert "KeyError" in str(letter.traceback)
    assert "test_stages.py" in str(letter.traceback)


def test_text_that_postgres_does_not_take_is_recorded_in_another_form(runtime: Runtime) -> None:
    run(runtime, submit(runtime), raising(PermanentError(ErrorCode.UNDECODABLE, "a\0b \ud800 ü")))
    job, *_ = state(runtime)
    assert (job.status, error_of(job)["detail"]) == ("failed", "a\ufffdb ? ü")


def test_soft_time_limit_fails_with_its_own_code(runtime: Runtime) -> None:
    run(runtime, submit(runtime), raising(SoftTimeLimitExceeded()))
    job, events, deliveries, letters = state(runtime)
    assert (job.status, error_of(job)["code"]) == ("failed", "time_limit")
    assert (events, deliveries, letters) == (["job.failed"], 1, [])


@pytest.mark.parametrize(
    "error",
    [
        PermanentError(ErrorCode.UNDECODABLE, "x"),
        TransientError(ErrorCode.STORAGE_UNAVAILABLE, "x"),
        ValueError("x"),
        SoftTimeLimitExceeded(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_lost_claim_writes_nothing(runtime: Runtime, error: BaseException) -> None:
    def body(job: jobs.ClaimedJob, _check: Check) -> None:
        """Meanwhile the lease runs out, and another worker claims the job."""
        with runtime.database.session_scope() as session:
            session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s'"))
            assert jobs.WORK.expire_leases(session, 3) == 1
            assert jobs.claim(session, job.id, Stage.RENDER, "another", 60) is not None
        raise error

    run(runtime, submit(runtime), body)
    job, events, deliveries, letters = state(runtime)
    assert (job.status, job.fence, job.claimed_by, job.error) == ("processing", 2, "another", None)
    assert (events, deliveries, letters) == ([], 0, [])


def test_job_that_is_not_to_be_had_runs_no_body(runtime: Runtime) -> None:
    job_id = submit(runtime)
    ran: list[jobs.ClaimedJob] = []
    run(runtime, job_id, lambda job, _check: ran.append(job))
    run(runtime, job_id, lambda job, _check: ran.append(job))  # still claimed
    run(runtime, uuid.uuid4(), lambda job, _check: ran.append(job))
    assert [job.id for job in ran] == [job_id]


def test_outage_costs_no_attempt_until_patience_ends(runtime: Runtime) -> None:
    job_id = submit(runtime)
    away = OutageError(ErrorCode.STORAGE_UNAVAILABLE, "Away.")
    for _ in range(2 * runtime.work.max_attempts):
        run(runtime, job_id, raising(away))
        job, events, _, letters = state(runtime)
        assert (job.status, job.attempts, error_of(job)["code"]) == ("queued", 0, "storage_unavailable")
        assert (events, letters) == ([], [])
        make_due(runtime)
    with runtime.database.session_scope() as session:
        session.execute(text("UPDATE jobs SET started_at = started_at - interval '2 hours'"))
    for _ in range(runtime.work.max_attempts):
        run(runtime, job_id, raising(away))
        make_due(runtime)
    job, events, _, letters = state(runtime)
    assert (job.status, job.attempts, events) == ("failed", runtime.work.max_attempts, ["job.failed"])
    assert [letter.error["code"] for letter in letters] == ["storage_unavailable"]


def test_lost_database_is_left_to_the_lease(runtime: Runtime) -> None:
    def body(_job: jobs.ClaimedJob, _check: Check) -> None:
        with runtime.database.session_scope() as session:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(OperationalError):
        run(runtime, submit(runtime), body)
    job, events, _, letters = state(runtime)
    assert (job.status, job.error, events, letters) == ("processing", None, [], [])


def test_prepared_statement_on_a_cut_connection_raises_what_a_query_raises(runtime: Runtime, postgres_url: str) -> None:
    """Between two statements of a transaction: the pool's ping cannot see it."""
    job_id = submit(runtime)
    other = Database(postgres_url)
    try:
        with pytest.raises(OperationalError) as raised, runtime.database.session_scope() as session:  # noqa: PT012
            backend = session.scalar(text("SELECT pg_backend_pid()"))
            with other.session_scope() as cutting:
                cutting.execute(text("SELECT pg_terminate_backend(:pid, 25000)"), {"pid": backend})
                cutting.execute(text("SELECT pg_sleep(0.1)"))
            jobs.claim(session, job_id, Stage.RENDER, "w", 60)
        assert raised.value.connection_invalidated
        with runtime.database.session_scope() as session:
            assert jobs.claim(session, job_id, Stage.RENDER, "w", 60) is not None
    finally:
        other.dispose()


def test_prepared_statement_is_still_known_after_a_rollback(runtime: Runtime) -> None:
    job_id = submit(runtime)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), runtime.database.session_scope() as session:  # noqa: PT012
            assert jobs.claim(session, job_id, Stage.RENDER, "w", 60) is not None
            raise ZeroDivisionError


def test_read_only_database_is_one_that_is_away_and_no_mistake_of_ours(runtime: Runtime) -> None:
    """The driver takes it for an internal error: from a prepared statement, and from the ORM."""
    job_id = submit(runtime)
    for write in (
        lambda session: jobs.claim(session, job_id, Stage.RENDER, "w", 60),
        lambda session: session.execute(text("UPDATE jobs SET progress = 1")),
        lambda session: session.execute(update(Job).values(progress=1)),
    ):
        with pytest.raises(OperationalError), runtime.database.session_scope() as session:  # noqa: PT012
            session.execute(text("SET TRANSACTION READ ONLY"))
            write(session)


def test_statement_that_takes_too_long_is_left_to_whoever_keeps_the_lease(runtime: Runtime) -> None:
    def body(_job: jobs.ClaimedJob, _check: Check) -> None:
        with runtime.database.session_scope() as session:
            session.execute(text("SET LOCAL statement_timeout = 50"))
            session.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(DatabaseUnavailable):
        run(runtime, submit(runtime), body)
    job, events, _, letters = state(runtime)
    assert (job.status, job.error, events, letters) == ("processing", None, [], [])


def test_work_whose_claim_is_lost_ends_in_silence(runtime: Runtime) -> None:
    """It is told at its next step, which comes after more than half a second here."""
    steps: list[str] = []

    def body(job: jobs.ClaimedJob, check: Check) -> None:
        check()
        with runtime.database.session_scope() as session:
            assert jobs.cancel(session, job.id, "default") is CancelOutcome.CANCELED
            session.execute(text("SELECT pg_sleep(0.6)"))
        steps.append("canceled")
        check()
        steps.append("went on")

    run(runtime, submit(runtime), body)
    job, events, deliveries, letters = state(runtime)
    assert steps == ["canceled"]
    assert (job.status, job.error) == ("canceled", None)
    assert (events, deliveries, letters) == (["job.canceled"], 1, [])


def test_process_that_died_after_an_error_was_told_fails_with_that_error(runtime: Runtime) -> None:
    job_id = submit(runtime)
    run(runtime, job_id, raising(TransientError(ErrorCode.SOURCE_TIMEOUT, "example.com took too long.")))
    make_due(runtime)
    with runtime.database.session_scope() as session:
        assert jobs.claim(session, job_id, Stage.RENDER, "w", 60) is not None
        session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s'"))
    with runtime.database.session_scope() as session:
        (row,) = jobs.WORK.exhausted(session, 2)
        give_up_job(session, row["id"], row["fence"])
    job, events, _, (letter,) = state(runtime)
    assert (job.status, error_of(job)["code"], letter.error["code"]) == ("failed", "source_timeout", "source_timeout")
    assert events == ["job.failed"]
    assert letter.traceback is not None
    assert "example.com took too long." in letter.traceback
    assert "Traceback (most recent call last)" in letter.traceback
    assert job.traceback is None, "the letter has it"
