"""Who is dispatched next, how much, and how often: on a real Postgres, pass by pass."""

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import deliveries, jobs, lanes

JOB_QUEUES = list(KINDS[0].queues)
DELIVERY_QUEUES = next(kind.queues for kind in KINDS if kind.work is deliveries.WORK)
WINDOW = 4


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=16)
    yield database
    database.dispose()


@pytest.fixture(autouse=True)
def _no_rows(database: Database) -> None:
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dispatch_marks CASCADE"))


def submit(database: Database, project: str = "default", **changes: Any) -> uuid.UUID:
    with database.session_scope() as session:
        return jobs.insert(session, new_job(project, **changes))


def new_job(project: str = "default", **changes: Any) -> jobs.NewJob:
    values: dict[str, Any] = {
        "project": project,
        "stage": Stage.RENDER,
        "queue": QueueName.IMAGING,
        "priority": 1,
        "source": {},
        "recipe": {"outputs": []},
        **changes,
    }
    return jobs.NewJob(**values)


def batch(database: Database, owner: str, count: int, priority: int = 1) -> None:
    """Rows in one statement, with turns of their own; no NOTIFY."""
    sql = f"""
        INSERT INTO jobs (id, project, owner, stage, queue, priority, source, recipe, turn)
        SELECT gen_random_uuid(), :owner, :owner, 'render', 'imaging', :priority, '{{}}', '{{}}', base.turn + n - 1
        FROM generate_series(1, :count) AS n,
             (SELECT {lanes.next_turn("'imaging'", ":priority", ":owner")} AS turn) AS base
    """
    with database.session_scope() as session:
        session.execute(text(sql), {"owner": owner, "count": count, "priority": priority})


def take(database: Database, window: int = WINDOW) -> list[uuid.UUID]:
    with database.session_scope() as session:
        return [row.id for row in jobs.WORK.take_due(session, JOB_QUEUES, window)]


def take_owners(database: Database, window: int = WINDOW) -> list[str]:
    """The owners of the rows of one pass, in its order; claimed, so that the next one has room."""
    ids = take(database, window)
    owners = [str(scalar(database, "SELECT owner FROM jobs WHERE id = :id", id=each)) for each in ids]
    claim(database, ids)
    return owners


def claim(database: Database, ids: list[uuid.UUID]) -> int:
    with database.session_scope() as session:
        return sum(jobs.claim(session, each, Stage.RENDER, "w", 600) is not None for each in ids)


def recover(database: Database, window: int = WINDOW, after: float = 60) -> int:
    """As the dispatcher does; how many messages it takes for lost."""
    with database.session_scope() as session:
        lanes.plan_for_many(session)
        jobs.WORK.ripen(session)
        lost = jobs.WORK.forget_lost(session, JOB_QUEUES, after, window)
        jobs.WORK.lift(session, JOB_QUEUES, window)
    return lost


def execute(database: Database, sql: str, **values: object) -> None:
    with database.session_scope() as session:
        session.execute(text(sql), values)


def scalar(database: Database, sql: str, **values: object) -> Any:
    with database.session_scope() as session:
        return session.scalar(text(sql), values)


def test_interactive_job_waits_for_one_row_of_each_batch_and_not_for_the_batches(database: Database) -> None:
    batch(database, "batch:1", 10_000)
    batch(database, "batch:2", 10_000)
    before: list[str] = []
    for _ in range(5):
        before += take_owners(database)
    assert before == ["batch:1", "batch:2"] * 10 or before == ["batch:2", "batch:1"] * 10 or len(before) == 20
    submit(database, "me")
    after: list[str] = []
    while "project:me" not in after:
        after += take_owners(database)
    assert after.index("project:me") <= 2
    assert before.count("batch:1") == before.count("batch:2") == 10


def test_owners_with_backlogs_share_alike_whenever_they_came(database: Database) -> None:
    batch(database, "batch:early", 100)
    for _ in range(10):
        take_owners(database)
    batch(database, "batch:late", 100)
    taken: list[str] = []
    for _ in range(20):
        taken += take_owners(database)
    assert abs(taken.count("batch:late") - taken.count("batch:early")) <= 1


def test_idle_owner_saves_no_turns_up(database: Database) -> None:
    submit(database, "seldom")
    take_owners(database)
    batch(database, "batch:1", 100)
    for _ in range(20):
        take_owners(database)
    for _ in range(8):
        submit(database, "seldom")
    taken: list[str] = []
    for _ in range(4):
        taken += take_owners(database)
    assert taken.count("project:seldom") in (7, 8)
    assert taken.count("batch:1") in (8, 9)


def test_higher_priority_of_a_queue_goes_first_and_keeps_its_own_turns(database: Database) -> None:
    batch(database, "batch:1", 50)
    urgent = [submit(database, priority=0) for _ in range(2 * WINDOW)]
    assert take(database) == urgent[:WINDOW]
    claim(database, urgent[:WINDOW])
    assert take(database) == urgent[WINDOW:]
    claim(database, urgent[WINDOW:])
    assert take_owners(database) == ["batch:1"] * WINDOW


def test_next_stage_of_a_job_takes_its_owners_turn_in_the_queue_it_comes_to(database: Database) -> None:
    batch(database, "batch:1", 100)
    for _ in range(5):
        take_owners(database)
    job_id = submit(database, "me", stage=Stage.FETCH, queue=QueueName.FETCH)
    with database.session_scope() as session:
        job = jobs.claim(session, job_id, Stage.FETCH, "w", 60)
        assert job is not None
        assert jobs.advance(
            *(session, job),
            stage=Stage.RENDER,
            queue=QueueName.IMAGING,
            source_key="k",
            source_sha256="s",
            found={},
            progress=1,
        )
    assert "project:me" in take_owners(database)


def test_run_at_keeps_a_job_back_until_its_time_and_no_other(database: Database) -> None:
    later = submit(database, run_at=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1))
    now = submit(database)
    recover(database)
    assert take(database) == [now]
    execute(database, "UPDATE jobs SET run_at = clock_timestamp() WHERE run_at IS NOT NULL")
    assert take(database) == []
    recover(database)
    assert take(database) == [later]


def test_scheduled_crowd_does_not_stand_in_front_of_others_when_its_time_comes(database: Database) -> None:
    batch(database, "batch:scheduled", 500)
    execute(database, "UPDATE jobs SET run_at = clock_timestamp() + interval '1 hour'")
    batch(database, "batch:1", 1000)
    for _ in range(150):
        take_owners(database)
    execute(database, "UPDATE jobs SET run_at = clock_timestamp() WHERE run_at IS NOT NULL")
    recover(database)
    submit(database, "me")
    taken: list[str] = []
    for _ in range(5):
        taken += take_owners(database)
    assert "project:me" in taken[:3]
    assert abs(taken.count("batch:scheduled") - taken.count("batch:1")) <= 2


def test_interleaved_dispatchers_never_overfill_the_window_nor_take_a_row_twice(database: Database) -> None:
    batch(database, "batch:1", 50)
    with database.session_scope() as one, database.session_scope() as other:
        first = jobs.WORK.take_due(one, JOB_QUEUES, WINDOW)
        assert len(first) == WINDOW
        assert jobs.WORK.take_due(other, JOB_QUEUES, WINDOW) == []
        one.commit()
        # The snapshot is of after the lock: what the first one published counts.
        assert jobs.WORK.take_due(other, JOB_QUEUES, WINDOW) == []
    claim(database, [first[0].id])
    assert len(take(database)) == 1
    assert scalar(database, "SELECT count(*) FROM jobs WHERE dispatched_at IS NOT NULL") == WINDOW


def test_dispatcher_that_holds_one_queue_leaves_the_others_to_others(database: Database) -> None:
    submit(database)
    other_queue = submit(database, queue=QueueName.IMAGING_HIGH, priority=0)
    with database.session_scope() as session:
        assert lanes.lock(session, ["imaging"]) == ["imaging"]
        assert take(database) == [other_queue]


def test_dispatcher_that_stops_in_mid_pass_is_cut_off(database: Database) -> None:
    submit(database)
    with database.session_scope() as session:
        jobs.WORK.take_due(session, JOB_QUEUES, WINDOW)
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"


def test_overtaken_row_comes_back_while_the_queue_is_never_empty(database: Database) -> None:
    batch(database, "batch:1", 200)
    lost, *others = take(database)
    claim(database, others)
    execute(database, "UPDATE jobs SET dispatched_at = dispatched_at - interval '2 s' WHERE id = :id", id=lost)
    passes = 0
    while recover(database, after=3600) == 0:
        taken = take(database)
        assert lost not in taken
        assert len(taken) == WINDOW - 1, "the others go on beside it"
        claim(database, taken)
        passes += 1
        assert passes <= 2 * WINDOW
    assert lost in take(database)


def test_row_that_others_overtook_just_now_is_given_a_second(database: Database) -> None:
    batch(database, "batch:1", 100)
    lost, *others = take(database)
    # And twice as much each time that it is sent again: here 64 seconds, which this test does not take.
    execute(database, "UPDATE jobs SET dispatches = 7 WHERE id = :id", id=lost)
    claim(database, others)
    for _ in range(4 * WINDOW):
        claim(database, take(database))
    assert recover(database, after=3600) == 0
    assert scalar(database, "SELECT dispatched_at IS NOT NULL FROM jobs WHERE id = :id", id=lost)


def test_row_in_a_quiet_queue_is_not_sent_again_before_its_time(database: Database) -> None:
    job_id = submit(database)
    assert take(database) == [job_id]
    execute(database, "UPDATE jobs SET dispatched_at = dispatched_at - interval '29 minutes'")
    assert recover(database, after=1800) == 0
    execute(database, "UPDATE jobs SET dispatched_at = dispatched_at - interval '2 minutes'")
    assert recover(database, after=1800) == 1
    assert take(database) == [job_id]


def test_late_commit_with_a_turn_that_has_passed_is_found(database: Database) -> None:
    """Far behind: others were dispatched while its transaction was open."""
    batch(database, "batch:1", 400)
    with database.session_scope() as slow:
        late = jobs.insert(slow, new_job("late"))
        for _ in range(50):
            take_owners(database)
    assert late not in take(database), "a pass does not look that far back"
    recover(database)
    claim(database, list(ids_published(database)))
    assert late in take(database)


def ids_published(database: Database) -> set[uuid.UUID]:
    with database.session_scope() as session:
        return set(session.scalars(text("SELECT id FROM jobs WHERE status = 'queued' AND dispatched_at IS NOT NULL")))


def test_commit_that_is_a_little_late_needs_no_recovery(database: Database) -> None:
    batch(database, "batch:1", 100)
    with database.session_scope() as slow:
        late = jobs.insert(slow, new_job("late"))
        for _ in range(3):
            take_owners(database)
    assert late in take(database)


def test_row_that_a_client_has_locked_holds_up_nobody(database: Database) -> None:
    locked, free = submit(database), submit(database)
    with database.session_scope() as session:
        session.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": locked})
        assert take(database) == [free]
        execute(database, "UPDATE jobs SET dispatched_at = '2020-01-01' WHERE id = :id", id=free)
        assert recover(database) == 1
    assert set(take(database)) == {locked, free}


def test_marks_of_long_ago_are_trimmed_and_nothing_is_forgotten(database: Database) -> None:
    batch(database, "batch:1", 400)
    for _ in range(80):
        take_owners(database)
    execute_trim(database)
    assert scalar(database, "SELECT count(*) FROM dispatch_marks") <= lanes.LOOK_BACK + 1
    assert scalar(database, "SELECT max(number) FROM dispatch_marks") == 320
    assert take_owners(database) == ["batch:1"] * WINDOW
    assert scalar(database, "SELECT max(number) FROM dispatch_marks") == 324


def execute_trim(database: Database) -> None:
    with database.session_scope() as session:
        lanes.trim(session, list(JOB_QUEUES), WINDOW)


def test_deliveries_are_taken_first_come_first_served(database: Database) -> None:
    ids = []
    for _ in range(6):
        job_id = submit(database, webhook_url="https://example.com/")
        with database.session_scope() as session:
            job = jobs.claim(session, job_id, Stage.RENDER, "w", 60)
            assert job is not None
            jobs.fail(session, job.id, job.fence, {})
        ids.append(scalar(database, "SELECT id FROM deliveries WHERE job_id = :id", id=job_id))
    with database.session_scope() as session:
        taken = [row.id for row in deliveries.WORK.take_due(session, DELIVERY_QUEUES, WINDOW)]
    assert taken == ids[:WINDOW]
