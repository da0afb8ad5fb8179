"""Recorded answers: found while they are good, overwritten and swept when they are not."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import idempotency
from pixmill_shared.repositories.idempotency import Recorded

BODY = '{"b": 1.50, "a": "ü"}'.encode()


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=2, max_overflow=4)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE idempotency_records"))
    yield database
    database.dispose()


def answer(request: bytes = b"r" * 32) -> Recorded:
    return Recorded(request, 202, {"Location": "http://x/ü"}, BODY)


def record(database: Database, key: str, keep: float = 60, project: str = "mine", request: bytes = b"r" * 32) -> bool:
    with database.session_scope() as session:
        return idempotency.record(session, project, key, answer(request), keep)


def find(database: Database, key: str, project: str = "mine") -> Recorded | None:
    with database.session_scope() as session:
        return idempotency.find(session, project, key)


def test_answer_comes_back_byte_for_byte_to_its_project_only(database: Database) -> None:
    assert record(database, "k")
    assert find(database, "k") == answer()
    assert find(database, "k", project="others") is None
    assert record(database, "k", project="others")


def test_answer_is_not_overwritten_while_it_is_good(database: Database) -> None:
    assert record(database, "k")
    assert not record(database, "k", request=b"s" * 32)
    assert find(database, "k") == answer()


def test_expired_answer_is_not_found_and_is_overwritten(database: Database) -> None:
    assert record(database, "k", keep=0)
    assert find(database, "k") is None
    assert record(database, "k", request=b"s" * 32)
    assert find(database, "k") == answer(b"s" * 32)


def test_lock_is_refused_to_others_until_the_transaction_ends(database: Database) -> None:
    def tried(project: str, key: str) -> bool:
        with database.session_scope() as other:
            return idempotency.lock(other, project, key)

    with database.session_scope() as session:
        assert idempotency.lock(session, "mine", "k")
        assert not tried("mine", "k")
        assert tried("mine", "K")
        assert tried("min", "ek")
        assert tried("others", "k")
    assert tried("mine", "k")


def test_expired_answers_are_deleted_a_batch_at_a_time_oldest_first(database: Database) -> None:
    for n in range(5):
        record(database, f"old-{n}", keep=0)
    record(database, "good")
    with database.session_scope() as session:
        assert idempotency.delete_expired(session, 2) == 2
    with database.session_scope() as session:
        left = set(session.scalars(text("SELECT key FROM idempotency_records")))
        assert left == {"old-2", "old-3", "old-4", "good"}
        assert idempotency.delete_expired(session, 10) == 3
        assert idempotency.delete_expired(session, 10) == 0
    assert find(database, "good")


def test_answer_that_is_being_written_anew_is_passed_by(database: Database) -> None:
    record(database, "k", keep=0)
    deleted: list[int] = []

    def sweep() -> None:
        with database.session_scope() as session:
            deleted.append(idempotency.delete_expired(session, 10))

    with database.session_scope() as session:
        assert idempotency.record(session, "mine", "k", answer(b"s" * 32), 60)
        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        sweeper.join(timeout=30)
        assert not sweeper.is_alive()
    assert deleted == [0]
    assert find(database, "k") == answer(b"s" * 32)
