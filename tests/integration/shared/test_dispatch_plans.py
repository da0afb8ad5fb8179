"""How the statements of the dispatcher are planned: by their indexes, however the tables looked when they were."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.repositories import jobs, lanes

QUEUES = list(KINDS[0].queues)
ROWS = 100_000
MOST_READ = 3_000
"""Rows and blocks: a fraction of what reading the table or sorting a lane would be."""


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    """One connection, whose plans were made when the table was empty, and kept."""
    database = Database(postgres_url, pool_size=1, max_overflow=0, statement_timeout=120)
    with database.session_scope() as session:
        session.execute(text("ANALYZE jobs"))
    for _ in range(8):
        with database.session_scope() as session:
            lanes.plan_for_many(session)
            new = jobs.NewJob("p", Stage.RENDER, QueueName.IMAGING, 1, {}, {})
            job_id = jobs.insert(session, new)
            jobs.WORK.lift(session, QUEUES, 32)
            jobs.WORK.forget_lost(session, QUEUES, 30, 32)
        with database.session_scope() as session:
            assert [row.id for row in jobs.WORK.take_due(session, QUEUES, 32)] == [job_id]
        with database.session_scope() as session:
            job = jobs.claim(session, job_id, Stage.RENDER, "w", 60)
            assert job is not None
            assert jobs.fail(session, job_id, job.fence, {})
    sql = """
        INSERT INTO jobs (id, project, owner, stage, queue, source, recipe, turn)
        SELECT gen_random_uuid(), 'p', 'project:p' || n % 10, 'render', 'imaging', '{}', '{}', n / 10 + 9
        FROM generate_series(1, :rows) AS n
    """
    with database.session_scope() as session:
        session.execute(text(sql), {"rows": ROWS})
    yield database
    database.dispose()


def explained(session: Session, statement: Prepared, *values: object) -> dict[str, Any]:
    """The plan that the connection has kept for the statement, with what it did."""
    literals = ", ".join(repr(value) for value in values)
    name = statement._name
    (plan,) = session.scalar(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({literals})")) or [{}]
    return dict(plan["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def indexes(plan: dict[str, Any]) -> set[str]:
    return {str(node["Index Name"]) for node in nodes(plan) if "Index Name" in node}


def read(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def whole_tables(plan: dict[str, Any]) -> list[str]:
    return [str(node["Relation Name"]) for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


QUEUE_LITERAL = "{" + ",".join(QUEUES) + "}"


def test_pass_reads_a_window_by_the_ready_index_and_not_the_backlog(database: Database) -> None:
    with database.session_scope() as session:
        lanes.lock(session, list(QUEUES))
        plan = explained(session, jobs.WORK._take, QUEUE_LITERAL, 128, 32)
        assert plan["Actual Rows"] == 32
        assert {"ix_jobs_ready", "ix_jobs_published", "dispatch_marks_pkey", "jobs_pkey"} >= indexes(plan)
        assert "ix_jobs_ready" in indexes(plan)
        assert whole_tables(plan) == []
        assert read(plan) < MOST_READ
        session.rollback()


def test_recovery_reads_what_is_behind_and_not_the_backlog(database: Database) -> None:
    with database.session_scope() as session:
        lanes.plan_for_many(session)
        for statement, values in (
            (jobs.WORK._lift, (QUEUE_LITERAL, 128)),
            (jobs.WORK._forget_lost, (QUEUE_LITERAL, 64, 30)),
        ):
            plan = explained(session, statement, *values)
            assert whole_tables(plan) == []
            assert read(plan) < MOST_READ


def test_submission_finds_its_owners_last_turn_without_reading_the_lane(database: Database) -> None:
    values = (
        *(str(new_id()), "p", "render", "imaging", 1),
        *("{}", "k", "s", "{}", "{}", "u", "r", "d"),
    )
    literals = [repr(value) for value in values]
    literals.insert(5, "NULL")  # api_key_id
    literals += ["NULL", "NULL", "'project:p3'", "NULL", "NULL"]
    with database.session_scope() as session:
        sql = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {jobs._INSERT._name}({', '.join(literals)})"
        (found,) = session.scalar(text(sql)) or [{}]
        assert "ix_jobs_lane" in indexes(found["Plan"])
        assert read(found["Plan"]) < 100
        assert session.scalar(text("SELECT max(turn) FROM jobs WHERE owner = 'project:p3'")) == ROWS // 10 + 9


def test_claim_and_end_find_their_row_by_its_id(database: Database) -> None:
    with database.session_scope() as session:
        job_id = session.scalar(text("SELECT id FROM jobs WHERE status = 'queued' LIMIT 1"))
        plan = explained(session, jobs._CLAIM, str(job_id), "render", "w", 60)
        assert plan["Actual Rows"] == 1
        assert indexes(plan) == {"jobs_pkey"}
        assert read(plan) < 100
        session.rollback()


def test_planner_never_takes_the_index_of_leases_for_a_claimed_row(database: Database) -> None:
    """It would serve by its predicate, and holds the entries of all rows that were claimed since an old snapshot."""
    with database.session_scope() as session:
        session.execute(text("ANALYZE jobs"))
        session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        claimed = "UPDATE jobs SET progress = 1 WHERE id = $1 AND status = 'processing'"
        session.execute(text(f"PREPARE touch(uuid) AS {claimed}"))
        plan = session.scalar(text("EXPLAIN (FORMAT JSON) EXECUTE touch(gen_random_uuid())")) or [{}]
        assert indexes(plan[0]["Plan"]) == {"jobs_pkey"}
