"""What stops one step of the recovery, a row that somebody holds or an error that lasts, stops nothing else."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.integration.imaging.studio import clean_easel
from tests.integration.notifier.couriers import finished_job
from tests.integration.shared.test_batches import make
from tests.integration.shared.test_dispatch_processes import insert_silently
from tests.integration.shared.test_state_machine import Collecting

from pixmill_shared.contract.alerts import AlertRule
from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.dispatcher.kinds import KINDS, Kind
from pixmill_shared.repositories import alerts, chunks
from pixmill_shared.service.sampling import sample_queues
from pixmill_shared.settings.work import WorkSettings

USED_UP = """
    UPDATE {} SET status = 'processing', attempts = 99, fence = 1, run_at = NULL, dispatched_at = NULL,
                  lease_until = clock_timestamp() - interval '1 s'
    WHERE id = ANY(:ids)
"""


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=4)
    with database.session_scope() as session:
        session.execute(
            text("TRUNCATE batches, jobs, deliveries, alerts, dead_letters, dispatch_marks, queue_samples CASCADE")
        )
    yield database
    database.dispose()


@pytest.fixture
def dispatcher(database: Database) -> Collecting:
    return Collecting(database, inline=False)


def used_up(database: Database, table: str, ids: list[uuid.UUID]) -> None:
    """Their last workers went silent."""
    with database.session_scope() as session:
        session.execute(text(USED_UP.format(table)), {"ids": ids})


def failed(database: Database, table: str) -> set[uuid.UUID]:
    with database.session_scope() as session:
        return set(session.scalars(text(f"SELECT id FROM {table} WHERE status = 'failed'")))


def sent(dispatcher: Collecting) -> set[uuid.UUID]:
    return {uuid.UUID(message.payload["job_id"]) for message in dispatcher.sent}


def recoveries_failed() -> float:
    return REGISTRY.get_sample_value("pixmill_recoveries_failed_total", {"table": "generation_chunks"}) or 0.0


def test_batch_that_somebody_holds_delays_the_end_of_its_own_jobs_only(
    database: Database, dispatcher: Collecting
) -> None:
    batch, held = make(database, 2)
    other = insert_silently(database, 1)
    used_up(database, "jobs", [*held, *other])
    new = insert_silently(database, 1)
    with database.session_scope() as holder:
        holder.execute(text("SELECT 1 FROM batches WHERE id = :id FOR NO KEY UPDATE"), {"id": batch})
        dispatcher.recover()
        dispatcher.pass_over()
        assert failed(database, "jobs") == other
        assert sent(dispatcher) == new
    dispatcher.recover()
    assert failed(database, "jobs") == other | set(held), "at the next look"


def test_alert_that_somebody_holds_delays_the_end_of_what_raises_it_only(
    database: Database, dispatcher: Collecting
) -> None:
    _, delivery = finished_job(database, "http://127.0.0.1:1/")
    used_up(database, "deliveries", [delivery])
    new = insert_silently(database, 1)
    with database.session_scope() as session:
        host = session.scalar(text("SELECT host FROM deliveries"))
        alerts.raise_alert(session, AlertRule.DELIVERIES_EXHAUSTED, f"receiver {host}", "before")
    with database.session_scope() as holder:
        alerts.firing(holder, 10)
        dispatcher.recover()
        dispatcher.pass_over()
        assert failed(database, "deliveries") == set()
        assert sent(dispatcher) == new
    dispatcher.recover()
    assert failed(database, "deliveries") == {delivery}


def test_recovery_of_one_kind_that_fails_for_good_stops_no_work_and_is_counted(database: Database) -> None:
    def fails(session: Session, _settings: WorkSettings) -> None:
        session.execute(text("SELECT 1/0"))

    dispatcher = Collecting(database, inline=False)
    dispatcher._kinds = [replace(kind, tidy=fails) if kind.work is chunks.WORK else kind for kind in KINDS[::-1]]
    used_up(database, "jobs", list(lost := insert_silently(database, 1)))
    new = insert_silently(database, 1)
    before = recoveries_failed()
    dispatcher.recover()
    dispatcher.pass_over()
    assert failed(database, "jobs") == lost, "of kinds that come later"
    assert sent(dispatcher) == new
    assert recoveries_failed() == before + 1


@pytest.mark.parametrize(
    "state",
    [
        "run_at = clock_timestamp() - interval '{age} s'",
        "status = 'processing', lease_until = clock_timestamp() - interval '{age} s', attempts = 1",
    ],
    ids=["a retry that nobody begins", "a worker that went silent"],
)
def test_work_that_the_recovery_does_not_reach_counts_as_waiting(database: Database, state: str) -> None:
    def in_samples(seconds: int) -> tuple[dict[str, int], float]:
        """As the first sample says: no earlier one bounds the age."""
        with database.session_scope() as session:
            session.execute(text("TRUNCATE queue_samples"))
            session.execute(text(made + state.format(age=seconds)))
        found = sample_queues(database)
        with database.session_scope() as session:
            return found, session.scalar(text("SELECT max(oldest_seconds) FROM queue_samples")) or 0.0

    insert_silently(database, 3)
    made = "UPDATE jobs SET created_at = now() - interval '1 d', dispatched_at = NULL, "
    assert in_samples(1) == ({}, 0.0), "its turn comes in a moment"
    found, oldest = in_samples(3600)
    assert found == {"imaging": 3}
    assert 3600 <= oldest < 7200, "since it should have gone on, not since it was made"


def test_chunk_that_somebody_holds_delays_the_end_of_its_own_overdue_job_only(
    database: Database, dispatcher: Collecting, tmp_path: Path
) -> None:
    easel = clean_easel(database, tmp_path)
    held, *others = (easel.submit("Tea", "Soup", size=1, at_once=1) for _ in range(3))
    with database.session_scope() as session:
        begun = "UPDATE jobs SET status = 'processing', started_at = now() - make_interval(secs => :age) WHERE id = :id"
        for age, each in enumerate((*others, held), 9000):
            session.execute(text(begun), {"age": age, "id": each})
    with database.session_scope() as holder:
        holder.execute(text("SELECT 1 FROM generation_chunks WHERE job_id = :id FOR NO KEY UPDATE"), {"id": held})
        dispatcher.recover()
        assert failed(database, "jobs") == set(others), "though the held one is the first"
    dispatcher.recover()
    assert failed(database, "jobs") == {held, *others}, "at the next look"


@pytest.mark.parametrize("statement", ["of the session", "prepared"])
def test_database_that_takes_no_writes_ends_the_recovery(postgres_url: str, statement: str) -> None:
    def writes(session: Session, _kind: Kind) -> None:
        session.execute(text("UPDATE jobs SET progress = 1"))

    database = Database(postgres_url, pool_size=1, max_overflow=0)
    dispatcher = Collecting(database, inline=False)
    if statement == "of the session":
        dispatcher._recover = writes  # type: ignore[method-assign]
    try:
        with database.session_scope() as session:
            session.connection().connection.cursor().execute(
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; COMMIT"
            )
        with pytest.raises(DatabaseUnavailable):
            dispatcher.recover()
    finally:
        database.dispose()


def test_database_that_is_away_ends_the_recovery() -> None:
    nowhere = Database("postgresql+psycopg2://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseUnavailable):
        Collecting(nowhere, inline=False).recover()
