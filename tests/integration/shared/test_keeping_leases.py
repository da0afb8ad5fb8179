"""The keeper of a worker's leases, without a worker: what it renews, what it gives up, and what it leaves alone."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from tests.integration.shared.processes import Gate
from tests.waiting import eventually

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import DeadLetter, Job
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs, reservations
from pixmill_shared.repositories.leases import JOBS
from pixmill_shared.service.leases import LeaseKeeper, Loss, Work
from pixmill_shared.settings.work import WorkSettings

ME = "imaging@here:1:aaaa"
OTHER = "imaging@here:1:bbbb"
#: Seconds. Short, so that three renewals take one.
LEASE = 1.0
Keepers = Callable[..., LeaseKeeper]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=2, max_overflow=4)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, dead_letters CASCADE"))
    yield database
    database.dispose()


@pytest.fixture
def keepers(postgres_url: str) -> Iterator[Keepers]:
    """Starts one, of ``ME`` if not told otherwise."""
    with ExitStack() as ending:

        def start(url: str = postgres_url, longest: float = 60, **settings: float) -> LeaseKeeper:
            keeper = LeaseKeeper(Database(url), ME, WorkSettings(**{"lease": LEASE, **settings}), longest)
            keeper.start()
            ending.callback(keeper.stop)
            return keeper

        yield start


def claimed(database: Database, holder: str = ME, lease: float = LEASE) -> jobs.ClaimedJob:
    new = jobs.NewJob(
        project="default",
        stage=Stage.RENDER,
        queue=QueueName.IMAGING,
        priority=1,
        source={"upload_id": "u"},
        source_key="uploads/u",
        recipe={"outputs": []},
    )
    with database.session_scope() as session:
        job_id = jobs.insert(session, new)
    return claim(database, job_id, holder, lease)


def claim(database: Database, job_id: uuid.UUID, holder: str = ME, lease: float = LEASE) -> jobs.ClaimedJob:
    with database.session_scope() as session:
        job = jobs.claim(session, job_id, Stage.RENDER, holder, lease)
    assert job is not None
    return job


def row(database: Database, job: jobs.ClaimedJob) -> Job:
    with database.session_scope() as session:
        return session.get_one(Job, job.id)


def lease_of(database: Database, job: jobs.ClaimedJob) -> float:
    """When it ends, in seconds of the database's clock."""
    sql = "SELECT extract(epoch FROM lease_until) FROM jobs WHERE id = :id"
    with database.session_scope() as session:
        return float(session.scalar(text(sql), {"id": job.id}))


def left(database: Database, table: str, where: str) -> float:
    """Seconds until the lease ends."""
    sql = f"SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM {table} WHERE {where}"
    with database.session_scope() as session:
        return float(session.scalar(text(sql)))


def expired(database: Database) -> int:
    with database.session_scope() as session:
        return jobs.WORK.expire_leases(session, 3)


def test_lease_and_reservations_of_active_work_are_renewed_and_no_others(database: Database, keepers: Keepers) -> None:
    active, idle, foreign = claimed(database), claimed(database), claimed(database, OTHER)
    with database.session_scope() as session:
        assert reservations.reserve(session, active.id, active.fence, ["k"]) == {"k"}
    others = lease_of(database, idle), lease_of(database, foreign)
    renewed = [lease_of(database, active)]
    keeper = keepers()
    for job in (active, foreign):
        keeper.add(str(job.id), Work(JOBS, job.id))

    def twice_in_a_lease() -> bool:
        if (now := lease_of(database, active)) != renewed[-1]:
            renewed.append(now)
        return any(third - first < LEASE for first, third in zip(renewed, renewed[2:], strict=False))

    eventually(twice_in_a_lease, 60)
    both = "SELECT j.lease_until = r.lease_until FROM jobs j JOIN rendition_reservations r ON r.job_id = j.id"
    with database.session_scope() as session:
        assert session.scalar(text(both)) is True
    assert (lease_of(database, idle), lease_of(database, foreign)) == others
    keeper.remove(str(active.id))
    eventually(lambda: left(database, "jobs", f"id = '{active.id}'") < 0, 60)


def test_work_that_takes_too_long_is_renewed_no_more(database: Database, keepers: Keepers) -> None:
    job = claimed(database)
    keepers(longest=LEASE).add("a", Work(JOBS, job.id))
    eventually(lambda: expired(database) == 1, 60)


def test_claim_of_a_dead_process_is_over_at_once_and_counts(database: Database, keepers: Keepers) -> None:
    job = claimed(database, lease=60)
    keeper = keepers(lease=60)
    keeper.add("a", Work(JOBS, job.id))
    keeper.lose("a", Loss.DIED)
    eventually(lambda: expired(database) == 1, 60)
    assert (row(database, job).status, row(database, job).attempts) == ("queued", 1)


def test_result_that_could_not_be_recorded_counts_no_attempt_and_waits_a_moment(
    database: Database, keepers: Keepers
) -> None:
    job = claimed(database, lease=60)
    keeper = keepers(lease=60)
    keeper.add("a", Work(JOBS, job.id))
    keeper.lose("a", Loss.UNRECORDED)
    eventually(lambda: row(database, job).status == "queued", 60)
    assert row(database, job).attempts == 0
    assert row(database, job).run_at is not None


def test_what_the_database_refuses_for_longer_than_any_outage_costs_attempts(
    database: Database, keepers: Keepers
) -> None:
    job = claimed(database, lease=60)
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET started_at = started_at - interval '2 hours'"))
    keeper = keepers(lease=60)
    keeper.add("a", Work(JOBS, job.id))
    keeper.lose("a", Loss.UNRECORDED)
    eventually(lambda: expired(database) == 1, 60)
    assert (row(database, job).status, row(database, job).attempts) == ("queued", 1)


def test_what_was_killed_at_its_time_limit_is_tried_again_later_and_at_last_buried(
    database: Database, keepers: Keepers
) -> None:
    job, keeper = claimed(database, lease=60), keepers(lease=60, max_attempts=2)
    keeper.add("a", Work(JOBS, job.id))
    keeper.lose("a", Loss.TIME_LIMIT)
    eventually(lambda: row(database, job).status == "queued", 60)
    first = row(database, job)
    assert first.error is not None
    assert (first.attempts, first.error["code"], first.run_at is not None) == (1, "time_limit", True)
    with database.session_scope() as session:
        session.execute(text("UPDATE jobs SET run_at = NULL"))
    claim(database, job.id, lease=60)
    keeper.add("b", Work(JOBS, job.id))
    keeper.lose("b", Loss.TIME_LIMIT)
    eventually(lambda: row(database, job).status == "failed", 60)
    with database.session_scope() as session:
        letter = session.query(DeadLetter).one()
    assert (letter.error["code"], letter.attempts) == ("time_limit", 2)


def test_all_is_handed_back_as_if_it_had_not_been_claimed(database: Database, keepers: Keepers) -> None:
    mine, foreign = [claimed(database, lease=60) for _ in range(3)], claimed(database, OTHER, lease=60)
    with database.session_scope() as session:
        assert reservations.reserve(session, mine[0].id, mine[0].fence, ["k"]) == {"k"}
    keeper = keepers(lease=60)
    for job in (*mine, foreign):
        keeper.add(job.id, Work(JOBS, job.id))
    assert keeper.hand_back(60)
    for job in mine:
        now = row(database, job)
        assert (now.status, now.attempts, now.run_at, now.claimed_by, now.lease_until) == (
            "queued",
            0,
            None,
            None,
            None,
        )
    assert row(database, foreign).status == "processing"
    with database.session_scope() as session:
        assert session.scalar(text("SELECT count(*) FROM rendition_reservations")) == 0
        # What the worker writes now comes too late.
        assert jobs.complete(session, mine[0], found={}, sha256="s", made=[]) is None


def test_loss_of_one_of_two_that_had_the_same_row_leaves_the_other_its_claim(
    database: Database, keepers: Keepers
) -> None:
    """A message that came twice: the second found the job claimed, and its process died."""
    job, other = claimed(database, lease=60), claimed(database, lease=60)
    keeper = keepers(lease=60)
    keeper.add("first", Work(JOBS, job.id))
    keeper.add("second", Work(JOBS, job.id))
    keeper.add("third", Work(JOBS, other.id))
    keeper.lose("second", Loss.DIED)
    keeper.lose("third", Loss.DIED)
    eventually(lambda: expired(database) == 1, 60)
    assert row(database, job).status == "processing"


def test_keeper_goes_on_when_the_database_is_back(database: Database, keepers: Keepers, postgres_url: str) -> None:
    where = make_url(postgres_url)
    gate = Gate((str(where.host), int(where.port or 5432)))
    try:
        through = where.set(host="127.0.0.1", port=gate.port).render_as_string(hide_password=False)
        keeper = keepers(url=through)
        job, dead = claimed(database, lease=600), claimed(database, lease=600)
        keeper.add("a", Work(JOBS, job.id))
        keeper.add("b", Work(JOBS, dead.id))
        eventually(lambda: left(database, "jobs", f"id = '{job.id}'") < 10, 60)
        gate.shut()
        keeper.lose("b", Loss.DIED)
        eventually(lambda: left(database, "jobs", f"id = '{job.id}'") < -0.2, 60)
        before, untold = lease_of(database, job), lease_of(database, dead)
        gate.open()
        eventually(lambda: lease_of(database, job) > before, 60)
        eventually(lambda: lease_of(database, dead) > untold, 60)
        assert left(database, "jobs", f"id = '{dead.id}'") <= 0, "not renewed but over"
    finally:
        keeper.stop()
        gate.shut()
