"""What the pool does with connections that the server has ended."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from pixmill_shared.database import engine
from pixmill_shared.database.engine import Database, DatabaseUnavailable


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=1, max_overflow=0)
    yield database
    database.dispose()


def backend_of(database: Database) -> int:
    with database.session_scope() as session:
        return int(session.scalar(text("SELECT pg_backend_pid()")) or 0)


def end(backend: int, postgres_url: str) -> None:
    other = Database(postgres_url)
    with other.session_scope() as session:
        assert session.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": backend})
    other.dispose()


def test_connection_that_rested_is_tried_and_replaced_unseen(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RESTED", 0.0)
    first = backend_of(database)
    assert backend_of(database) == first
    end(first, postgres_url)
    assert backend_of(database) != first


def test_connection_in_use_is_not_tried_and_fails_once(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RESTED", 3600.0)
    first = backend_of(database)
    end(first, postgres_url)
    with pytest.raises(DatabaseUnavailable):
        backend_of(database)
    assert backend_of(database) != first
